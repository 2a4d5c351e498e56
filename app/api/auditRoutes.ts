import { z } from "zod";
import { nextCursor, pageQuery, plainText, timeQuery } from "#core/http/page.ts";
import { defineRoute } from "#core/http/route.ts";
import { auditLineExample } from "./callerExamples.ts";

const text = z.string().nullable();

export const auditLineSchema = z
  .object({
    seq: z.int().meta({ description: "Its place; none is left out" }),
    kind: z.enum(["begun", "answered", "refused", "counted"]).meta({
      description:
        "`begun` before an effect, `answered` after it, `refused` what came to no handler, `counted` what nobody known was refused",
    }),
    request: z.string().meta({ description: "The same in all lines of one request" }),
    at: z.int().meta({ description: "Milliseconds since 1970" }),
    ...{ caller: text, address: text, method: text, route: text },
    params: text.meta({ description: "Parameters of path and query, as JSON" }),
    idempotencyKey: text.meta({ description: "SHA-256 of the Idempotency-Key" }),
    body: text.meta({ description: "SHA-256 of the bytes of the body" }),
    ...{ status: z.int().nullable(), code: text, durationMs: z.int().nullable(), count: z.int() },
    hash: z.string().meta({ description: "SHA-256 over the hash of the line before and this line" }),
  })
  .meta({ id: "AuditLine" });

export const listAudit = defineRoute({
  name: "listAudit",
  ...{ method: "GET", url: "/v1/audit", access: "admin" },
  ...{ tag: "audit", summary: "Who asked for what, and what came of it, newest first" },
  query: z.strictObject({
    caller: plainText(200).optional(),
    route: plainText(200).optional().meta({ description: "As in `route` of a line", example: "/v1/swaps" }),
    ...timeQuery,
    ...pageQuery,
  }),
  answer: z.object({ lines: z.array(auditLineSchema), next: nextCursor }),
  examples: { answer: { lines: [auditLineExample] } },
});
