import { z } from "zod";
import { address, uint } from "../kernel/codec.ts";
import { clientTlsSchema } from "./accounts.ts";
import { plainHttpUrl } from "./url.ts";

const name = z.string().min(1);
const weight = z.number().int().positive();

/** How much weight makes a quorum, as the gateways' validator sets have it. */
const threshold = z.discriminatedUnion("rule", [
  z.strictObject({ rule: z.literal("simpleMajority") }),
  /** Strictly more than the fraction. */
  z.strictObject({ rule: z.literal("superMajority"), numerator: weight, denominator: weight }),
  z.strictObject({ rule: z.literal("absoluteWeight"), weight }),
]);

const lane = z.strictObject({
  origin: name,
  destination: name,
  /**
   * What the destination is shown: a checkpoint that validators signed, or a proof of the origin's state against a
   * header that they attested, which needs `stateOracle` there and at the validators.
   */
  delivery: z.enum(["checkpoint", "proof"]).default("checkpoint"),
});

const laneOf = z.strictObject({ origin: name, destination: name });

/** What the relayer does not do although it could. */
const policy = z.strictObject({
  /** Lanes that are shown but not served. */
  denyLanes: z.array(laneOf).default([]),
  /** Messages from or to these addresses are deferred at the destination instead of executed. */
  denySenders: z.array(address).default([]),
  denyRecipients: z.array(address).default([]),
  /** Where not empty, messages from others are denied. */
  allowSenders: z.array(address).default([]),
  /** Managed account with the operator role at the gateways: it defers what is denied and what cannot be delivered. */
  operatorAccount: name.optional(),
  /** Wei a gas, by destination, above which deliveries wait. */
  maxGasPrice: z.record(name, uint).default({}),
  /** On lanes with a price: how much more than its delivery costs a batch has to have paid, in percent of the cost. */
  minProfitPercent: z.number().int().min(-100).max(10_000).optional(),
});

/** A fungible token that is locked on one chain and minted on another over a lane. */
const bridge = z.strictObject({
  name,
  /** `bridge` holds what is locked. */
  home: z.strictObject({ chain: name, token: address, bridge: address }),
  /** A token that nothing but the bridge mints. */
  remote: z.strictObject({ chain: name, token: address }),
  /** Managed account with the guardian role at both gateways: it pauses the lane when more is minted than locked. */
  guardianAccount: name.optional(),
});

/** What the relayer of messages needs to know besides the chains. */
export const relayConfigSchema = z
  .strictObject({
    /** Managed account that pays for deliveries and retries. */
    account: name,
    /** Managed accounts that deliveries and retries are spread over, lane by lane; only `account` when left out. */
    accounts: z.array(name).min(1).optional(),
    /** Managed account that sends messages whose request names none; the delivering one when left out. */
    senderAccount: name.optional(),
    /** Lanes to serve; every ordered pair of chains when left out. */
    lanes: z.array(lane).optional(),
    /**
     * The validators, present and future ones, and where each can be asked. Which of them count, and for how much, is
     * read from the gateways. Weights, `threshold` and `epoch` are the set to start with, the same for every lane, until
     * the gateways' events since `startBlock` name one; validators of weight 0 are not in it.
     */
    validators: z
      .array(
        z.strictObject({
          ...{ name, address, url: plainHttpUrl },
          weight: z.number().int().nonnegative().default(1),
        }),
      )
      .min(1),
    /** Managed account that signs the requests to validators, which may want to know who asks; unsigned when left out. */
    identityAccount: name.optional(),
    /** For validators at `https`: whom to trust instead of the machine's list, and what to show them. */
    validatorTls: clientTlsSchema.optional(),
    threshold: threshold.default({ rule: "simpleMajority" }),
    epoch: z.number().int().positive().default(1),
    /** Reports a validator that signed two histories to the destinations, which take its weight. */
    reportEquivocation: z.boolean().default(true),
    /** Most messages that one delivery carries. */
    maxBatch: z.number().int().min(1).max(500).default(150),
    /** Milliseconds that a validator has to answer. */
    attestTimeoutMs: z.number().int().positive().default(1_000),
    /** Whether messages that failed at their recipients are executed again without being asked. */
    retryFailed: z.boolean().default(true),
    policy: policy.prefault({}),
    /** Bridges whose tokens are watched. */
    bridges: z
      .array(bridge)
      .refine((all) => new Set(all.map((each) => each.name)).size === all.length, "expected names that differ")
      .default([]),
    /** Milliseconds between two looks at the bridges. */
    bridgeLookMs: z.number().int().positive().default(5_000),
  })
  .readonly();

export type RelayConfig = z.output<typeof relayConfigSchema>;
