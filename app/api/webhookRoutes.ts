import { z } from "zod";
import { printableId } from "#core/http/page.ts";
import { defineRoute } from "#core/http/route.ts";
import { webhookExample, webhookOrderExample } from "./callerExamples.ts";
import { eventPosition, filterSchema } from "./eventRoutes.ts";

const after = eventPosition.optional().meta({ type: "string", description: "The `id` of an event; 0 for all" });
const idParams = z.object({ id: printableId });

const webhookSchema = z
  .object({
    id: z.string(),
    host: z.string().meta({ description: "Of its URL; the rest may hold a key" }),
    filter: filterSchema,
    state: z.enum(["active", "dead"]).meta({ description: "`dead`: nothing is sent until it is resumed" }),
    position: z.string().meta({ description: "The receiver has taken everything up to here" }),
    failures: z.int().meta({ description: "In a row, of the event after it" }),
    retryAt: z.string().optional(),
    reason: z.string().optional().meta({ description: "Of the last failure" }),
    failedAt: z.string().optional(),
    deliveredAt: z.string().optional(),
    createdAt: z.string(),
  })
  .meta({ id: "Webhook" });

export type WebhookView = z.output<typeof webhookSchema>;

const receiver = z.string().min(1).max(2_000).meta({ description: "Where events are sent to, over https" });

export const addWebhook = defineRoute({
  everyAccount: true,
  name: "addWebhook",
  ...{ method: "POST", url: "/v1/webhooks", access: "operator" },
  ...{ tag: "events", summary: "Send events to a URL" },
  body: z.strictObject({ url: receiver, filter: filterSchema.default({}), after }),
  status: 201,
  answer: z.object({
    webhook: webhookSchema,
    secret: z.string().meta({ description: "Signs deliveries; shown this once" }),
  }),
  errors: ["url-refused", "webhooks-full", "event-position-unknown", "chain-unknown", "lane-unknown"],
  examples: { body: webhookOrderExample, answer: { webhook: webhookExample, secret: "…" } },
});

export const listWebhookViews = defineRoute({
  name: "listWebhookViews",
  ...{ method: "GET", url: "/v1/webhooks", access: "operator" },
  ...{ tag: "events", summary: "Webhooks, and how far each has come" },
  answer: z.object({ webhooks: z.array(webhookSchema) }),
  examples: { answer: { webhooks: [webhookExample] } },
});

export const getWebhook = defineRoute({
  name: "getWebhook",
  ...{ method: "GET", url: "/v1/webhooks/:id", access: "operator" },
  ...{ tag: "events", summary: "A webhook, and why it is where it is" },
  ...{ params: idParams, answer: webhookSchema },
  errors: ["not-found"],
  examples: { answer: webhookExample },
});

export const resumeWebhookRoute = defineRoute({
  everyAccount: true,
  name: "resumeWebhookRoute",
  ...{ method: "POST", url: "/v1/webhooks/:id/resume", access: "operator" },
  ...{ tag: "events", summary: "Send again, from where it stopped or after an event" },
  ...{ params: idParams, body: z.strictObject({ after }).nullish(), answer: webhookSchema },
  errors: ["not-found", "event-position-unknown"],
  examples: { body: { after: "0" }, answer: webhookExample },
});

export const removeWebhook = defineRoute({
  everyAccount: true,
  name: "removeWebhook",
  ...{ method: "DELETE", url: "/v1/webhooks/:id", access: "operator" },
  ...{ tag: "events", summary: "Send nothing there any more" },
  ...{ params: idParams, answer: webhookSchema },
  errors: ["not-found"],
  examples: { answer: webhookExample },
});
