import { z } from "zod";
import { chainName } from "#core/config/service.ts";
import { problemSchema } from "#core/http/problem.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { RetryFilter } from "./failedMessages.ts";
import { parseLaneName } from "./lane.ts";
import { messageStatuses } from "./progress.ts";
import type { RelayQueries } from "./queries.ts";
import type { MessageActions } from "./retry.ts";
import {
  attestationSchema,
  laneViewSchema,
  type MessageRequest,
  messageRequestSchema,
  messageViewSchema,
  type RetryRequest,
  retryRequestSchema,
  validatorViewSchema,
  type WireAttestation,
} from "./schemas.ts";

type Deps = {
  requester: { request(body: MessageRequest): Promise<string> };
  actions: MessageActions;
  queries: RelayQueries;
  receive(attestation: WireAttestation): Promise<void>;
};

const idParams = z.object({
  id: z
    .string()
    .regex(/^[\x21-\x7e]{1,80}$/, "expected an id of printable characters")
    .meta({ description: "The message's id, here or on its chains" }),
});
const listQuery = z.strictObject({
  origin: chainName.optional(),
  destination: chainName.optional(),
  status: z.enum(messageStatuses).optional(),
  deadLettered: z
    .enum(["true", "false"])
    .transform((text) => text === "true")
    .optional(),
  cursor: z
    .string()
    .regex(/^[0-9]{1,18}$/, "expected the `next` of an earlier answer")
    .optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});
const listSchema = z.object({ messages: z.array(messageViewSchema), next: z.string().optional() });
const retriedSchema = z.object({
  count: z.int(),
  ids: z.array(z.string()),
  more: z.boolean().meta({ description: "Others may fit: ask again once these have ended" }),
});
const lanesSchema = z.object({ lanes: z.array(laneViewSchema) });
const validatorsSchema = z.object({ validators: z.array(validatorViewSchema) });
const problems = { "4xx": problemSchema, "5xx": problemSchema };
const secured = [{ startupToken: [] }];

/** Routes of `/v1/messages`, `/v1/lanes`, `/v1/validators` and `/v1/attestations`. */
export function createRelayRoutes({ requester, actions, queries, receive }: Deps): (app: HttpServer) => Promise<void> {
  return async (app) => {
    app.post(
      "/v1/messages",
      {
        schema: {
          tags: ["messages"],
          summary: "Send a message",
          security: secured,
          body: messageRequestSchema,
          response: { 202: messageViewSchema, ...problems },
        },
      },
      async (request, reply) => reply.code(202).send(await queries.message(await requester.request(request.body))),
    );
    app.get(
      "/v1/messages",
      {
        schema: {
          tags: ["messages"],
          summary: "Messages, newest first",
          querystring: listQuery,
          response: { 200: listSchema, ...problems },
        },
      },
      ({ query: { cursor, ...filter } }) =>
        queries.messages({ ...filter, before: cursor === undefined ? undefined : BigInt(cursor) }),
    );
    app.get(
      "/v1/messages/:id",
      {
        schema: {
          tags: ["messages"],
          summary: "A message, and why it is where it is",
          params: idParams,
          response: { 200: messageViewSchema, ...problems },
        },
      },
      ({ params }) => queries.message(params.id),
    );
    await actionRoutes(app, { actions, queries });
    await networkRoutes(app, { queries, receive });
  };
}

/** Most messages that one request retries. */
const mostRetried = 200;

async function actionRoutes(app: HttpServer, { actions, queries }: Pick<Deps, "actions" | "queries">): Promise<void> {
  const one = (summary: string) => ({
    schema: {
      ...{ tags: ["messages"], summary, security: secured, params: idParams },
      response: { 202: messageViewSchema, ...problems },
    },
  });
  app.post("/v1/messages/:id/retry", one("Execute a failed message again"), async ({ params }, reply) => {
    const { id } = await queries.message(params.id);
    await actions.retry(id);
    return reply.code(202).send(await queries.message(id));
  });
  app.post("/v1/messages/:id/abandon", one("Retry a failed message no more by itself"), async ({ params }, reply) => {
    const { id } = await queries.message(params.id);
    await actions.abandon(id);
    return reply.code(202).send(await queries.message(id));
  });
  app.post(
    "/v1/messages/retry",
    {
      schema: {
        tags: ["messages"],
        summary: "Execute failed messages again, all that fit",
        security: secured,
        body: retryRequestSchema,
        response: { 202: retriedSchema, ...problems },
      },
    },
    async (request, reply) => {
      const ids = await actions.retryAll(filterOf(request.body), mostRetried);
      return reply.code(202).send({ count: ids.length, ids, more: ids.length === mostRetried });
    },
  );
}

function filterOf({ lane, recipient, from, to, code }: RetryRequest): RetryFilter {
  const time = (text: string | undefined) => (text === undefined ? undefined : Date.parse(text));
  return { ...(lane !== undefined && parseLaneName(lane)), recipient, code, from: time(from), to: time(to) };
}

async function networkRoutes(app: HttpServer, { queries, receive }: Pick<Deps, "queries" | "receive">): Promise<void> {
  app.get(
    "/v1/lanes",
    { schema: { tags: ["network"], summary: "Lanes and their heads", response: { 200: lanesSchema, ...problems } } },
    async () => ({ lanes: await queries.lanes() }),
  );
  app.get(
    "/v1/validators",
    { schema: { tags: ["network"], summary: "Validators", response: { 200: validatorsSchema, ...problems } } },
    async () => ({ validators: await queries.validators() }),
  );
  app.post(
    "/v1/attestations",
    {
      config: { selfAuthenticated: true },
      schema: {
        tags: ["network"],
        summary: "A validator's newest checkpoint",
        description: "Needs no token: what counts is the signature inside.",
        body: attestationSchema,
        response: { 202: z.object({}), ...problems },
      },
    },
    async (request, reply) => {
      await receive(request.body);
      return reply.code(202).send({});
    },
  );
}
