import type { ChainConfig } from "./chains.ts";

/** Ethereum names a block safe after about one epoch of 32 slots and finalized after about two; half as many again. */
const tagBlocks = { safe: 48, finalized: 96 } as const;

/** Seconds from a block until it is final under the chain's policy: what deadlines count as F. */
export function finalitySeconds(config: Pick<ChainConfig, "finality" | "blockSeconds">): bigint {
  const blocks = typeof config.finality === "string" ? tagBlocks[config.finality] : config.finality.blocks;
  return BigInt(Math.ceil(blocks * config.blockSeconds));
}
