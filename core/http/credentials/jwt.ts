import { errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import type { JwtConfig } from "../../config/http.ts";
import type { Clock } from "../../kernel/clock.ts";
import { isLockstepError, LockstepError } from "../../kernel/errors.ts";
import { createRecent } from "../../kernel/recent.ts";
import { type AccessRole, accessRoles, type Caller } from "../access.ts";
import type { Authenticator } from "../guard.ts";
import { hashSecret } from "./apiKeys.ts";
import { bearerText, unauthorized } from "./bearer.ts";

const mostLength = 8_192;
const mostCached = 10_000;
/** A token that was right stays so for this long without its signature being checked again, and never past its end. */
const cacheMs = 10_000;

/**
 * Access tokens (RFC 7519) of one issuer for one audience as `Authorization: Bearer`. Nothing of a token is used before
 * its signature was right under a key of the issuer and an allowed algorithm; `none` and shared secrets never are.
 * Throws `unauthorized`, `forbidden` for a right token without a role, `identity-provider-unreachable`.
 */
export function jwtAuthenticator(deps: { config: JwtConfig; keys: JWTVerifyGetKey; clock: Clock }): Authenticator {
  const { config, keys, clock } = deps;
  const checked = createRecent<Caller>({ clock, most: mostCached });

  return (request) => {
    const text = bearerText(request);
    if (text === undefined || !/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*$/.test(text)) return undefined;
    if (text.length > mostLength) throw unauthorized(`the access token is longer than ${mostLength} characters`);
    const key = hashSecret(text).toString("base64");
    return checked.get(key) ?? check(text, key);
  };

  async function check(text: string, key: string): Promise<Caller> {
    const now = clock.now();
    const { payload } = await jwtVerify(text, keys, {
      ...{ issuer: config.issuer, audience: config.audience, algorithms: config.algorithms },
      ...{ requiredClaims: ["exp", "sub"], currentDate: new Date(now), clockTolerance: config.clockToleranceSeconds },
    }).catch((error: unknown) => {
      throw isLockstepError(error) ? error : unauthorized(reasonOf(error));
    });
    const until = ((payload.exp ?? 0) + config.clockToleranceSeconds) * 1_000;
    const caller = { ...callerOf(payload, config), until };
    checked.set(key, caller, Math.min(now + cacheMs, until));
    return caller;
  }
}

/** In words that tell nobody more than whether it is worth while to get a new token. */
function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return "the access token has expired";
  if (error instanceof errors.JWTClaimValidationFailed) return `the access token's claim "${error.claim}" does not fit`;
  return "the access token is not one by the configured issuer";
}

function callerOf(payload: JWTPayload, config: JwtConfig): Caller {
  const { sub = "" } = payload;
  if (!/^[\x21-\x7e]{1,200}$/.test(sub)) throw unauthorized('the access token\'s claim "sub" does not fit');
  const role = roleOf(payload, config);
  if (!role) throw new LockstepError("forbidden", "the access token gives no role");
  const accounts = accountsOf(payload, config);
  return { id: `jwt:${sub}`, role, ...(accounts && { accounts }) };
}

function roleOf(payload: JWTPayload, { roleClaim, roles }: JwtConfig): AccessRole | undefined {
  const found = claimOf(payload, typeof roleClaim === "string" ? [roleClaim] : roleClaim);
  const values = Array.isArray(found) ? found : [found];
  const given = values.flatMap((value) =>
    typeof value === "string" && Object.hasOwn(roles, value) ? (roles[value] ?? []) : [],
  );
  return accessRoles.findLast((role) => given.includes(role));
}

function accountsOf(payload: JWTPayload, config: JwtConfig): readonly string[] | undefined {
  const found = claimOf(payload, [config.accountsClaim]);
  if (found === undefined) return config.requireAccounts ? [] : undefined;
  if (Array.isArray(found) && found.every((each) => typeof each === "string")) return found;
  throw unauthorized(`the access token's claim "${config.accountsClaim}" does not fit`);
}

function claimOf(payload: JWTPayload, path: readonly string[]): unknown {
  let found: unknown = payload;
  for (const name of path) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, name)) return undefined;
    found = (found as Record<string, unknown>)[name];
  }
  return found;
}
