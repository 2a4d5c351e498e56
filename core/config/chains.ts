import { z } from "zod";
import { address, uint } from "../kernel/codec.ts";

const seconds = z.number().nonnegative();

/** A balance in wei, or enough for so many transactions at present prices. */
const balanceAlarm = z.union([
  z.strictObject({ wei: uint }),
  z.strictObject({ transactions: z.number().int().positive() }),
]);

/**
 * One chain as the configuration file names it. Every bound that deadlines are computed from is here, so that they can
 * be read off in one place.
 */
export const chainConfigSchema = z
  .strictObject({
    chainId: z.number().int().positive(),
    /** JSON-RPC over HTTP, best first. */
    endpoints: z.array(z.url({ protocol: /^https?$/ })).min(1),
    /** When a block counts as final: with that many blocks on top, or by the chain's own tag. */
    finality: z.union([
      z.strictObject({ blocks: z.number().int().min(0).max(100_000) }),
      z.literal("safe"),
      z.literal("finalized"),
    ]),
    /** Milliseconds between two looks at the head. */
    pollMs: z.number().int().positive().default(50),
    /** First block whose logs matter; usually the one the contracts were deployed in. */
    startBlock: z.number().int().nonnegative().default(0),
    /** Most blocks that one request for logs may span. */
    logWindow: z.number().int().positive().default(2_000),
    /** Milliseconds between two second looks at what became final, for logs that the first one was not shown. */
    recheckMs: z.number().int().positive().default(5_000),
    /** Expected seconds between two blocks. */
    blockSeconds: seconds,
    /** Seconds within which a well-paid transaction is mined, congestion and outages included. */
    inclusionSeconds: seconds,
    /** Most seconds between a block's timestamp and true time. */
    skewSeconds: seconds,
    gateway: address,
    timelock: address,
    /** Where headers of other chains are attested and state is proven against them; left out where there is none. */
    stateOracle: address.optional(),
    /** Wei a gas that transactions offer at most, by kind such as `relay.deliver`, or `default`. */
    feeCeilings: z.record(z.string().min(1), uint).default({}),
    /** Balances under which an account raises an alarm, by account, or `default`. */
    balanceAlarms: z.record(z.string().min(1), balanceAlarm).default({}),
  })
  .readonly();

export type ChainConfig = z.output<typeof chainConfigSchema>;
