import { getAbiItem, slice, toEventSelector } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Chain, ChainLog } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { emptyAccumulator, nextAccumulator } from "../protocol/message.ts";
import type { Link } from "./signingStore.ts";

const appendedSelector = toEventSelector(getAbiItem({ abi: gatewayAbi, name: "LaneAppended" }));

/** What `LaneAppended` says: topics are selector, destination, nonce and id; data begins with the accumulator. */
export type AppendedId = { readonly destinationChainId: number; readonly nonce: bigint; readonly id: Hex };

export function appendedIds(logs: readonly ChainLog[]): AppendedId[] {
  return logs.flatMap(({ topics: [selector, destination, nonce, id] }) =>
    selector === appendedSelector && destination && nonce && id
      ? [{ destinationChainId: Number(BigInt(destination)), nonce: BigInt(nonce), id: slice(id, 0) }]
      : [],
  );
}

/** Logs of the gateway within a range of blocks, both ends included, in requests of at most `window` blocks. */
export async function gatewayLogs(
  chain: Chain,
  gateway: Hex,
  range: { fromBlock: bigint; toBlock: bigint; window: bigint },
): Promise<ChainLog[]> {
  const found: ChainLog[] = [];
  for (let fromBlock = range.fromBlock; fromBlock <= range.toBlock; fromBlock += range.window) {
    const last = fromBlock + range.window - 1n;
    const toBlock = last < range.toBlock ? last : range.toBlock;
    found.push(...(await chain.logs({ fromBlock, toBlock, addresses: [gateway] })));
  }
  return found;
}

/**
 * The links that lead from one head of a lane to another, made of the ids alone. Undefined when the ids do not lead
 * there: something is missing, or the start is not on this history. What leads there proves itself, whoever gave it.
 */
export function linksBetween(
  from: Link | undefined,
  to: { readonly nonce: bigint; readonly accumulator: Hex },
  ids: readonly AppendedId[],
): Link[] | undefined {
  let { nonce, accumulator }: Link = from ?? { nonce: 0n, accumulator: emptyAccumulator };
  const links: Link[] = [];
  for (const next of ids) {
    if (next.nonce !== nonce + 1n || next.nonce > to.nonce) return undefined;
    nonce = next.nonce;
    accumulator = nextAccumulator(accumulator, next.id);
    links.push({ nonce, accumulator });
  }
  return nonce === to.nonce && accumulator === to.accumulator ? links : undefined;
}
