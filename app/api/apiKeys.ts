import type { z } from "zod";
import { type Caller, requireAccount } from "#core/http/access.ts";
import type { ApiKey, ApiKeys } from "#core/http/credentials/apiKeys.ts";
import { serve } from "#core/http/serve.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type apiKeySchema, createApiKey, listApiKeys, revokeApiKey } from "./apiKeyRoutes.ts";

/** Serves `/v1/api-keys`. */
export function createApiKeyRoutes(deps: { keys: ApiKeys; clock: Clock }): (app: HttpServer) => Promise<void> {
  const { keys, clock } = deps;
  return async (app) => {
    serve(app, createApiKey, async ({ body, caller }) => {
      requireWithin(caller, body.accounts);
      const expiresAt = body.expiresAt === undefined ? undefined : new Date(body.expiresAt);
      requireNoLonger(caller, expiresAt);
      if (expiresAt && expiresAt.getTime() <= clock.now()) {
        throw new LockstepError("request-invalid", "expiresAt: expected a time to come", {
          details: { field: "expiresAt" },
        });
      }
      const { key, secret } = await keys.create({ ...body, expiresAt }, caller?.id ?? "local");
      return { ...viewOf(key), secret: secret.reveal() };
    });
    serve(app, listApiKeys, async ({ query: { cursor, limit } }) => {
      const page = await keys.list(cursor, limit);
      const last = page.length === limit ? page.at(-1) : undefined;
      return { keys: page.map(viewOf), ...(last && { next: last.place.toString() }) };
    });
    serve(app, revokeApiKey, async ({ params: { id }, caller }) => {
      const key = await keys.get(id);
      if (!key) throw new LockstepError("not-found", "there is no API key with this id", { details: { field: "id" } });
      requireWithin(caller, key.accounts ?? undefined);
      return viewOf((await keys.revoke(id, caller?.id ?? "local")) ?? key);
    });
  };
}

/** Nobody gives, or takes, more than they have. Throws `forbidden`. */
function requireWithin(caller: Caller | undefined, accounts: readonly string[] | undefined): void {
  if (caller?.accounts === undefined) return;
  if (accounts === undefined) {
    throw new LockstepError("forbidden", "accounts: the caller may not act for all accounts", {
      details: { field: "accounts" },
    });
  }
  for (const account of accounts) requireAccount(caller, account, "accounts");
}

/** A key makes none that outlives it. People, who have tokens and certificates, make keys that last. Throws `forbidden`. */
function requireNoLonger(caller: Caller | undefined, expiresAt: Date | undefined): void {
  if (caller?.key === undefined || caller.until === undefined) return;
  if (expiresAt && expiresAt.getTime() <= caller.until) return;
  const until = new Date(caller.until).toISOString();
  throw new LockstepError("forbidden", `expiresAt: the caller's own key ends at ${until}; expected no later`, {
    details: { field: "expiresAt", until },
  });
}

export function viewOf(key: ApiKey): z.output<typeof apiKeySchema> {
  const { id, kind, name, role, accounts, createdAt, createdBy, expiresAt, lastUsedAt, revokedAt, revokedBy } = key;
  return {
    ...{ id, kind, name, role, createdBy, createdAt: createdAt.toISOString() },
    ...(accounts && { accounts: [...accounts] }),
    ...(expiresAt && { expiresAt: expiresAt.toISOString() }),
    ...(lastUsedAt && { lastUsedAt: lastUsedAt.toISOString() }),
    ...(revokedAt && { revokedAt: revokedAt.toISOString() }),
    ...(revokedBy && { revokedBy }),
  };
}
