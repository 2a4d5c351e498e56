import { z } from "zod";
import { name as chainName } from "#core/config/name.ts";
import { address, hash, hex, uint } from "#core/kernel/codec.ts";
import { parseLaneName } from "./lane.ts";
import { misbehaviours } from "./misbehaviour.ts";
import { messageStatuses } from "./progress.ts";
import { reasonCodeSchema } from "./reasons.ts";

/** Body of `POST /v1/messages`. */
export const messageRequestSchema = z
  .strictObject({
    origin: z.string().min(1).meta({ example: "alpha" }),
    destination: z.string().min(1).meta({ example: "beta" }),
    recipient: address.meta({ description: "A contract on the destination that receives ERC-7786 messages" }),
    payload: hex.meta({ example: "0x68656c6c6f" }),
    gasLimit: uint
      .optional()
      .meta({ description: "Gas that the recipient gets; the lane's default when left out", example: "200000" }),
    account: z.string().min(1).optional().meta({ description: "The managed account that sends it" }),
  })
  .meta({ id: "MessageRequest" });
export type MessageRequest = z.output<typeof messageRequestSchema>;

const timelineEntry = z.object({
  at: z.string().meta({ description: "When the service learned it, ISO 8601" }),
  what: z.string(),
  chain: z.string().optional(),
  transactionHash: hash.optional(),
  blockNumber: uint.optional(),
  code: z.string().optional(),
  detail: z.string().optional(),
});
export type TimelineEntry = z.output<typeof timelineEntry>;

const quorumView = z.object({
  threshold: z.string(),
  weight: uint.meta({ description: "Weight of those who have answered" }),
  totalWeight: uint,
  answered: z.array(z.string()),
  missing: z.array(z.string()),
});
export type QuorumView = z.output<typeof quorumView>;

const reasonView = z.object({
  code: reasonCodeSchema.meta({ description: "One of docs/reasons.md" }),
  message: z.string(),
  nextAttemptAt: z.string().optional().meta({ description: "When the service tries again, ISO 8601" }),
  attempt: z.int().optional().meta({ description: "Number of that attempt in a row" }),
  attempts: z.int().optional().meta({ description: "Attempts after which it is given up; absent: never" }),
});

/** A message as the API shows it. */
export const messageViewSchema = z
  .object({
    id: z.string(),
    onchainId: hash.optional().meta({ description: "The id on both chains, once it has its place in the lane" }),
    status: z.enum(messageStatuses),
    deadLettered: z.boolean().meta({ description: "Given up: it is tried again only when asked" }),
    reason: reasonView.extend({ quorum: quorumView.optional() }),
    lane: z.string().meta({ example: "alpha→beta" }),
    origin: z.string(),
    destination: z.string(),
    nonce: uint.optional(),
    sender: address,
    recipient: address,
    payload: hex,
    gasLimit: uint.optional(),
    createdAt: z.string(),
    timeline: z.array(timelineEntry),
  })
  .meta({ id: "Message" });
export type MessageView = z.output<typeof messageViewSchema>;

/** How far a lane has come, in nonces. */
export const laneViewSchema = z
  .object({
    lane: z.string(),
    origin: z.string(),
    destination: z.string(),
    delivery: z.enum(["checkpoint", "proof"]).meta({ description: "What the destination is shown" }),
    source: z.enum(["file", "api"]).meta({ description: "Where it was said that the lane is served" }),
    state: z.enum(["active", "paused"]),
    revision: uint.meta({ description: "Of the API's last word about it; 0 for none" }),
    seen: uint,
    finalized: uint,
    attested: uint,
    delivered: uint.meta({ description: "Attempted at the destination, failures included" }),
    backlog: z.int().meta({ description: "Messages seen and not yet attempted" }),
    generation: z.int().optional().meta({ description: "Rises when governance realigns the lane" }),
    pausedThere: z.boolean().optional().meta({ description: "A guardian has paused it at the destination" }),
    deferred: z.int().optional().meta({ description: "Ids that the destination holds back and has not met yet" }),
    excluded: z.array(z.string()).meta({ description: "Validators that lost their weight there" }),
    reason: reasonView.optional().meta({ description: "What the lane waits for, where something is in its way" }),
  })
  .meta({ id: "Lane" });
export type LaneView = z.output<typeof laneViewSchema>;

export const validatorViewSchema = z
  .object({
    name: z.string(),
    address,
    weight: uint.meta({ description: "The most it weighs in the newest epoch of a lane; 0 where it does not count" }),
    url: z.string().optional().meta({ description: "Where it is asked; left out when the configuration has none" }),
    reachable: z.boolean(),
    lastSeen: z.string().optional().meta({ description: "When it last answered or signed, ISO 8601" }),
    epochs: z.array(
      z.object({
        lane: z.string(),
        epoch: uint.meta({ description: "The newest valid epoch that has it" }),
        weight: uint,
      }),
    ),
    misbehaviour: z
      .array(
        z.object({
          code: z.enum(misbehaviours),
          lane: z.string(),
          times: z.int().meta({ description: "How often, as far as it was counted" }),
          firstAt: z.string(),
          lastAt: z.string(),
          reported: z.boolean().meta({ description: "Reported to the lane's destination" }),
        }),
      )
      .meta({ description: "What it did that an honest validator does not" }),
    attestations: z.array(z.object({ lane: z.string(), nonce: uint, at: z.string() })),
  })
  .meta({ id: "Validator" });
export type ValidatorView = z.output<typeof validatorViewSchema>;

const time = { offset: true, error: "expected a time such as 2026-01-31T12:00:00Z" } as const;
const isLaneName = (text: string): boolean => {
  const lane = parseLaneName(text);
  return lane !== undefined && Object.values(lane).every((name) => chainName.safeParse(name).success);
};

/** Body of `POST /v1/messages/retry`: what has to fit, all of it. */
export const retryRequestSchema = z
  .strictObject({
    lane: z.string().refine(isLaneName, "expected a lane such as alpha→beta").optional(),
    recipient: address.optional(),
    from: z.iso.datetime(time).optional().meta({ description: "Failed at this time or later, ISO 8601" }),
    to: z.iso.datetime(time).optional().meta({ description: "Failed at this time or earlier, ISO 8601" }),
    code: reasonCodeSchema
      .optional()
      .meta({ description: "The message's reason, or what its last attempt failed with" }),
  })
  .refine((body) => Object.values(body).some((value) => value !== undefined), "expected at least one field")
  .meta({ id: "RetryRequest" });
export type RetryRequest = z.output<typeof retryRequestSchema>;

/** As wide as the gateway's own fields and the database's columns, whichever is narrower. */
const uint64 = uint.refine((value) => value < 2n ** 63n, "expected a number below 2^63");
const generation = z
  .int()
  .nonnegative()
  .max(2 ** 31 - 1);

const signature = hex.refine((text) => text.length === 132, "expected 65 bytes");

/**
 * One validator's signed checkpoint as it travels, pushed or asked for. Names of chains are everybody's own, so it has
 * ids and gateways.
 */
export const attestationSchema = z
  .strictObject({
    originChainId: z.int().positive(),
    originGateway: address,
    destinationChainId: z.int().positive(),
    destinationGateway: address,
    generation,
    nonce: uint64,
    accumulator: hash,
    epoch: uint64,
    signer: address,
    signature,
  })
  .meta({ id: "Attestation" });
export type WireAttestation = z.output<typeof attestationSchema>;

/** What a validator is asked about a block of the origin: its signature for the state oracle of the destination. */
export const headerRequestSchema = z.strictObject({
  originChainId: z.int().positive(),
  destinationChainId: z.int().positive(),
  generation,
  epoch: uint64,
  /** Number of a final block. */
  height: uint64,
});
export type HeaderRequest = z.output<typeof headerRequestSchema>;

/** One validator's signed header as it travels: what the oracle's `Header` has, and where and by whom it was signed. */
export const headerAttestationSchema = z.strictObject({
  originChainId: z.int().positive(),
  destinationChainId: z.int().positive(),
  /** The state oracle at the destination. */
  oracle: address,
  generation,
  height: uint64,
  blockHash: hash,
  epoch: uint64,
  signer: address,
  signature,
});
export type WireHeaderAttestation = z.output<typeof headerAttestationSchema>;

/** What a validator is asked: its signature at `nonce`, or at its newest final one before that. */
export const attestRequestSchema = z.strictObject({
  originChainId: z.int().positive(),
  destinationChainId: z.int().positive(),
  generation,
  epoch: uint64,
  nonce: uint64,
});
export type AttestRequest = z.output<typeof attestRequestSchema>;
