import { z } from "zod";
import { nextCursor, pageQuery, plainText } from "#core/http/page.ts";
import { defineRoute } from "#core/http/route.ts";
import { accessRoles, apiKeyKinds } from "#core/kernel/accessRoles.ts";
import { apiKeyExample, apiKeyOrderExample } from "./callerExamples.ts";

const time = z.iso.datetime({ offset: true, error: "expected a time such as 2026-01-31T12:00:00Z" });
const accountName = plainText(100).min(1);

/** A name and what a key may do, as a person orders one. */
export const apiKeyOrderSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "expected up to 64 letters, digits, dots, dashes and underscores")
      .meta({ description: "Who has it; shown in logs and decisions", example: "desk-1" }),
    role: z.enum(accessRoles),
    kind: z
      .enum(apiKeyKinds)
      .default("bearer")
      .meta({ description: "`bearer`: sent with each request; `hmac`: requests are signed with it" }),
    accounts: z
      .array(accountName)
      .max(1_000)
      .optional()
      .meta({ description: "Managed accounts that it may act for; all when left out" }),
    expiresAt: time.optional().meta({ description: "ISO 8601; never when left out" }),
  })
  .meta({ id: "NewApiKey" });

const view = {
  id: z.string(),
  kind: z.enum(apiKeyKinds),
  name: z.string(),
  role: z.enum(accessRoles),
  accounts: z.array(z.string()).optional().meta({ description: "All where this is left out" }),
  createdAt: z.string(),
  createdBy: z.string(),
  expiresAt: z.string().optional(),
  lastUsedAt: z.string().optional().meta({ description: "To the minute" }),
  revokedAt: z.string().optional(),
  revokedBy: z.string().optional(),
};
export const apiKeySchema = z.object(view).meta({ id: "ApiKey" });

const made = z
  .object({ ...view, secret: z.string().meta({ description: "Shown this once; nobody can read it again" }) })
  .meta({ id: "ApiKeyWithSecret" });

const params = z.object({ id: z.string().regex(/^[0-9a-f]{16}$/, "expected the id of an API key") });

export const createApiKey = defineRoute({
  name: "createApiKey",
  ...{ method: "POST", url: "/v1/api-keys", access: "admin" },
  ...{ tag: "access", summary: "Make a key for a caller of this API" },
  description: "Not a key that signs for an account: what a caller proves itself with.",
  ...{ body: apiKeyOrderSchema, status: 201, answer: made },
  errors: ["account-unknown"],
  examples: { body: apiKeyOrderExample, answer: { ...apiKeyExample, secret: "lk_…" } },
});

export const listApiKeys = defineRoute({
  name: "listApiKeys",
  ...{ method: "GET", url: "/v1/api-keys", access: "admin" },
  ...{ tag: "access", summary: "Keys of callers, newest first, those revoked too" },
  query: z.strictObject(pageQuery),
  answer: z.object({ keys: z.array(apiKeySchema), next: nextCursor }),
  examples: { answer: { keys: [apiKeyExample] } },
});

export const revokeApiKey = defineRoute({
  name: "revokeApiKey",
  ...{ method: "DELETE", url: "/v1/api-keys/:id", access: "admin" },
  ...{ tag: "access", summary: "Revoke a key for good" },
  description: "Counts at once in this process, and within a second or so in others.",
  ...{ params, answer: apiKeySchema },
  errors: ["not-found"],
  examples: { answer: { ...apiKeyExample, revokedAt: "2026-02-01T12:00:00.000Z", revokedBy: "key:admin" } },
});
