import type { AccessRole } from "../kernel/accessRoles.ts";
import { LockstepError } from "../kernel/errors.ts";

export { type AccessRole, accessRoles, includesRole } from "../kernel/accessRoles.ts";

/**
 * What a route asks of whoever calls it: a role; `signed`, where a signature inside the body proves its sender; or
 * nothing. Every route says so, or the server does not start.
 */
export type RouteAccess = AccessRole | "signed" | "anyone";

/** Who a request comes from, once that is proven. */
export type Caller = {
  /** For logs, limits and the audit, e.g. `key:ops:5f0c2a9be1d34477`. No secret. */
  readonly id: string;
  readonly role: AccessRole;
  /** Managed accounts that it may act for; all where this is left out. */
  readonly accounts?: readonly string[];
  /** The API key that proved it. */
  readonly key?: string;
  /** When its proof ends by itself, in milliseconds since 1970. */
  readonly until?: number;
};

/** True when the caller may act for the managed account. */
export function mayActFor(caller: Caller | undefined, account: string): boolean {
  return caller?.accounts === undefined || caller.accounts.includes(account);
}

/** Throws `forbidden`, naming the field, when the caller may not act for the managed account. */
export function requireAccount(caller: Caller | undefined, account: string, field: string): void {
  if (mayActFor(caller, account)) return;
  throw new LockstepError("forbidden", `${field}: the caller may not act for the account "${account}"`, {
    details: { field, account },
  });
}
