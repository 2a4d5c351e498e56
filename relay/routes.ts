import { z } from "zod";
import { name as chainName } from "#core/config/name.ts";
import { archivedAlone, archivedQuery, isFreeOfFilters, nextCursor, pageQuery, printableId } from "#core/http/page.ts";
import { defineRoute } from "#core/http/route.ts";
import { chainTroubles } from "#core/http/routeErrors.ts";
import { address, uint } from "#core/kernel/codec.ts";
import {
  attestationExample,
  bridgeExample,
  laneExample,
  messageExample,
  messageRequestExample,
  retriedExample,
  retryExample,
  validatorExample,
} from "./examples.ts";
import { messageStatuses } from "./progress.ts";
import {
  attestationSchema,
  laneViewSchema,
  messageRequestSchema,
  messageViewSchema,
  retryRequestSchema,
  validatorViewSchema,
} from "./schemas.ts";

export { shownRelayKinds } from "./shownEvents.ts";

const idParams = z.object({ id: printableId.meta({ description: "The message's id, here or on its chains" }) });

export const sendMessage = defineRoute({
  name: "sendMessage",
  ...{ method: "POST", url: "/v1/messages", access: "trader" },
  ...{ tag: "messages", summary: "Send a message" },
  ...{ body: messageRequestSchema, status: 202, answer: messageViewSchema, tracks: "message-" },
  location: "/v1/messages/:id",
  errors: [
    "chain-unknown",
    "lane-unknown",
    "chain-paused",
    "restoring",
    "lane-paused",
    "account-unknown",
    "balance-insufficient",
    "gas-limit-too-high",
    "payload-too-long",
    ...chainTroubles,
  ],
  examples: { body: messageRequestExample, answer: messageExample },
});

export const listMessages = defineRoute({
  name: "listMessages",
  ...{ method: "GET", url: "/v1/messages", access: "viewer" },
  ...{ tag: "messages", summary: "Messages, newest first" },
  query: z
    .strictObject({
      origin: chainName.optional(),
      destination: chainName.optional(),
      status: z.enum(messageStatuses).optional(),
      deadLettered: z
        .enum(["true", "false"])
        .transform((text) => text === "true")
        .optional(),
      ...archivedQuery,
      ...pageQuery,
    })
    .refine(isFreeOfFilters, archivedAlone),
  answer: z.object({ messages: z.array(messageViewSchema), next: nextCursor }),
  errors: ["chain-unknown"],
  examples: { answer: { messages: [messageExample], next: "40" } },
});

export const getMessage = defineRoute({
  name: "getMessage",
  ...{ method: "GET", url: "/v1/messages/:id", access: "viewer" },
  ...{ tag: "messages", summary: "A message, and why it is where it is" },
  ...{ params: idParams, answer: messageViewSchema },
  errors: ["not-found"],
  examples: { answer: messageExample },
});

export const retryMessage = defineRoute({
  everyAccount: true,
  name: "retryMessage",
  ...{ method: "POST", url: "/v1/messages/:id/retry", access: "operator" },
  ...{ tag: "messages", summary: "Execute a failed message again" },
  ...{ params: idParams, status: 202, answer: messageViewSchema, tracks: "message-" },
  errors: [
    "not-found",
    "message-not-failed",
    "message-ended",
    "chain-unknown",
    "lane-unknown",
    "chain-paused",
    "restoring",
    "lane-paused",
  ],
  examples: { answer: messageExample },
});

export const abandonMessage = defineRoute({
  everyAccount: true,
  name: "abandonMessage",
  ...{ method: "POST", url: "/v1/messages/:id/abandon", access: "operator" },
  ...{ tag: "messages", summary: "Retry a failed message no more by itself" },
  ...{ params: idParams, status: 202, answer: messageViewSchema, tracks: "message-" },
  errors: ["not-found", "message-not-failed", "message-ended"],
  examples: { answer: messageExample },
});

export const retryMessages = defineRoute({
  everyAccount: true,
  name: "retryMessages",
  ...{ method: "POST", url: "/v1/messages/retry", access: "operator" },
  ...{ tag: "messages", summary: "Execute failed messages again, all that fit" },
  body: retryRequestSchema,
  status: 202,
  answer: z.object({
    count: z.int(),
    ids: z.array(z.string()),
    more: z.boolean().meta({ description: "Others may fit: ask again once these have ended" }),
  }),
  errors: ["chain-unknown", "lane-unknown", "chain-paused", "lane-paused"],
  examples: { body: retryExample, answer: retriedExample },
});

export const listLanes = defineRoute({
  name: "listLanes",
  ...{ method: "GET", url: "/v1/lanes", access: "viewer" },
  ...{ tag: "network", summary: "Lanes and their heads" },
  answer: z.object({ lanes: z.array(laneViewSchema) }),
  examples: { answer: { lanes: [laneExample] } },
});

export const listValidators = defineRoute({
  name: "listValidators",
  ...{ method: "GET", url: "/v1/validators", access: "viewer" },
  ...{ tag: "network", summary: "Validators" },
  answer: z.object({ validators: z.array(validatorViewSchema) }),
  examples: { answer: { validators: [validatorExample] } },
});

export const pushAttestation = defineRoute({
  name: "pushAttestation",
  ...{ method: "POST", url: "/v1/attestations", access: "signed" },
  ...{ tag: "network", summary: "A validator's newest checkpoint" },
  description: "Needs no credentials: what counts is the signature inside.",
  ...{ body: attestationSchema, status: 202, answer: z.object({}) },
  errors: ["attestation-refused", "attestation-disagrees"],
  examples: { body: attestationExample, answer: {} },
});

const bridgeView = z
  .object({
    name: z.string(),
    home: z.object({ chain: z.string(), token: address, bridge: address }),
    remote: z.object({ chain: z.string(), token: address }),
    compared: z
      .object({
        backed: z.boolean().meta({ description: "Whether no more is minted than is locked" }),
        locked: uint,
        minted: uint,
        homeBlock: uint,
        remoteBlock: uint,
        at: z.string().meta({ description: "ISO 8601" }),
      })
      .optional()
      .meta({ description: "What the last comparison at blocks that fit has shown" }),
  })
  .meta({ id: "Bridge" });

export const listBridges = defineRoute({
  name: "listBridges",
  ...{ method: "GET", url: "/v1/bridges", access: "viewer" },
  ...{ tag: "network", summary: "Bridges that are watched, and whether they hold what they have minted" },
  answer: z.object({ bridges: z.array(bridgeView) }),
  examples: { answer: { bridges: [bridgeExample] } },
});
