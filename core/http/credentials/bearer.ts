import { timingSafeEqual } from "node:crypto";
import type { FastifyRequest } from "fastify";
import type { Clock } from "../../kernel/clock.ts";
import { LockstepError } from "../../kernel/errors.ts";
import type { Caller } from "../access.ts";
import type { Authenticator } from "../guard.ts";
import { type ApiKey, type ApiKeys, hashSecret, type ProvableKey, parseBearerKey } from "./apiKeys.ts";

/**
 * What follows `Bearer` in the request's one Authorization header; undefined without the header. Throws `unauthorized`
 * when there are several, of which another reader might take another one, and for other schemes.
 */
export function bearerText(request: FastifyRequest): string | undefined {
  const { authorization } = request.headers;
  if (authorization === undefined) return undefined;
  const { rawHeaders } = request.raw;
  let times = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.length === 13 && rawHeaders[i]?.toLowerCase() === "authorization") times++;
  }
  if (times > 1) throw unauthorized("send one Authorization header, not several");
  const match = /^Bearer +([^\s,]+)$/i.exec(authorization);
  if (match?.[1] === undefined) throw unauthorized("the Authorization header is not `Bearer …`");
  return match[1];
}

/** API keys as `Authorization: Bearer lsk_…`. */
export function apiKeyAuthenticator(deps: { keys: Pick<ApiKeys, "find" | "used">; clock: Clock }): Authenticator {
  const { keys, clock } = deps;
  return (request) => {
    const text = bearerText(request);
    if (!text?.startsWith("lsk_")) return undefined;
    const parsed = parseBearerKey(text);
    const found = parsed && keys.find("bearer", parsed.id);
    return found instanceof Promise ? found.then((key) => prove(key, parsed?.secret)) : prove(found, parsed?.secret);
  };

  function prove(key: ProvableKey | undefined, secret: string | undefined): Caller {
    if (!key || secret === undefined || !timingSafeEqual(hashSecret(secret), key.proof.reveal())) {
      throw unauthorized("the API key is not one of this service");
    }
    requireInForce(key, clock);
    keys.used(key);
    return callerOf(key);
  }
}

/** Throws `unauthorized` for a key that was revoked or has expired; only its holder is told. */
export function requireInForce({ revokedAt, expiresAt }: ApiKey, clock: Clock): void {
  if (revokedAt) throw unauthorized("the API key was revoked");
  if (expiresAt && clock.now() >= expiresAt.getTime()) throw unauthorized("the API key has expired");
}

/** Who the holder of a key is. */
export const callerOf = ({ id, name, role, accounts, expiresAt }: ApiKey): Caller => ({
  ...{ id: `key:${name}:${id}`, role, key: id },
  ...(accounts && { accounts }),
  ...(expiresAt && { until: expiresAt.getTime() }),
});

export const unauthorized = (why: string): LockstepError => new LockstepError("unauthorized", why);
