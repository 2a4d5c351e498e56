import { z } from "zod";
import { address, hash, hex } from "../kernel/codec.ts";

/** A JSON-RPC number: hex without leading zeroes by the specification, with them from some nodes. */
export const quantity = z
  .string()
  .regex(/^0x[0-9a-fA-F]{1,64}$/)
  .transform((text) => BigInt(text));

const count = quantity.refine((value) => value <= BigInt(Number.MAX_SAFE_INTEGER)).transform(Number);

export const wireCount = count;
export const wireHash = hash;
export const wireHex = hex;

export const wireBlock = z.object({
  number: quantity,
  hash,
  parentHash: hash,
  timestamp: quantity,
  logsBloom: hex.optional(),
});

export const wireLog = z.object({
  address,
  topics: z.array(hash).max(4),
  data: hex,
  blockNumber: quantity,
  blockHash: hash,
  transactionHash: hash,
  logIndex: count,
  removed: z.literal(false).optional(),
});

export const wireReceipt = z.object({
  transactionHash: hash,
  blockNumber: quantity,
  blockHash: hash,
  status: z
    .enum(["0x0", "0x1"])
    .transform((status) => (status === "0x1" ? ("success" as const) : ("reverted" as const))),
  gasUsed: quantity,
  effectiveGasPrice: quantity.optional(),
});

export const wireTransactions = z.object({
  transactions: z.array(
    z
      .object({
        hash,
        from: address,
        nonce: count,
        to: address.nullish(),
        input: hex,
        value: quantity,
      })
      .transform(({ to, input, value, ...user }) => (to ? { ...user, call: { to, data: input, value } } : user)),
  ),
});

/** `eth_feeHistory`: one base fee more than blocks asked for, the last being that of the next block. */
export const wireFeeHistory = z.object({
  baseFeePerGas: z.array(quantity).min(1),
  reward: z.array(z.array(quantity)).optional(),
});

/** The error half of a JSON-RPC answer. */
export const wireError = z.object({ code: z.number(), message: z.string(), data: z.unknown().optional() });
export type WireError = z.output<typeof wireError>;
