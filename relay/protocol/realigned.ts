import { decodeEventLog, toEventSelector } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { ChainLog } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";

/** A destination's lane that governance has put onto another branch of its origin. */
export type Realigned = {
  readonly originChainId: number;
  readonly generation: bigint;
  /** The lane goes on after it. */
  readonly nonce: bigint;
  /** What may still run of the messages up to there, by retries. */
  readonly retryableIds: readonly Hex[];
  readonly log: ChainLog;
};

const isRealigned = (item: (typeof gatewayAbi)[number]) => item.type === "event" && item.name === "LaneRealigned";
const abi = gatewayAbi.filter(isRealigned) as [Extract<(typeof gatewayAbi)[number], { name: "LaneRealigned" }>];
const realigned = toEventSelector(abi[0]);

/** The realignments among the logs of one gateway. */
export function decodeRealigned(logs: readonly ChainLog[]): Realigned[] {
  return logs.flatMap((log) => {
    const [selector, ...topics] = log.topics;
    if (selector !== realigned) return [];
    const { args } = decodeEventLog({ abi, topics: [selector, ...topics], data: log.data });
    const { origin, generation, nonce, retryableIds } = args;
    return [{ originChainId: Number(origin), generation: BigInt(generation), nonce, retryableIds, log }];
  });
}
