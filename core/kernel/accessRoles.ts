/**
 * What a caller may do, each role including those before it: look; request messages and swaps; halt, decide and retry;
 * change chains, lanes and keys.
 */
export const accessRoles = ["viewer", "trader", "operator", "admin"] as const;
export type AccessRole = (typeof accessRoles)[number];

/** True when the role includes the other. */
export function includesRole(role: AccessRole, asked: AccessRole): boolean {
  return accessRoles.indexOf(role) >= accessRoles.indexOf(asked);
}

/** How a key proves its holder: sent as it is, or used to sign requests and never sent. */
export const apiKeyKinds = ["bearer", "hmac"] as const;
export type ApiKeyKind = (typeof apiKeyKinds)[number];
