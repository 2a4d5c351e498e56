import { getAbiItem, slice, toEventSelector } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Chain, ChainLog } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { emptyAccumulator, nextAccumulator } from "../protocol/message.ts";
import type { Link } from "./signingStore.ts";

const appendedSelector = toEventSelector(getAbiItem({ abi: gatewayAbi, name: "LaneAppended" }));

/** What `LaneAppended` says: topics are selector, destination, nonce and id; data begins with the accumulator. */
export type AppendedId = { readonly destinationChainId: number; readonly nonce: bigint; readonly id: Hex };

function appendedIds(logs: readonly ChainLog[]): AppendedId[] {
  return logs.flatMap(({ topics: [, destination, nonce, id] }) =>
    destination && nonce && id
      ? [{ destinationChainId: Number(BigInt(destination)), nonce: BigInt(nonce), id: slice(id, 0) }]
      : [],
  );
}

type Range = { readonly fromBlock: bigint; readonly toBlock: bigint; readonly window: bigint };

/**
 * The gateway's messages within a range of blocks, both ends included, in requests of at most `window` blocks. A window
 * that the endpoint does not answer is halved; throws what it said when not even one block is answered.
 */
export async function* appendedInWindows(chain: Chain, gateway: Hex, range: Range): AsyncGenerator<AppendedId[]> {
  let { window } = range;
  for (let fromBlock = range.fromBlock; fromBlock <= range.toBlock; ) {
    const last = fromBlock + window - 1n;
    const toBlock = last < range.toBlock ? last : range.toBlock;
    try {
      yield appendedIds(await chain.logs({ fromBlock, toBlock, addresses: [gateway], events: [appendedSelector] }));
      fromBlock = toBlock + 1n;
    } catch (error) {
      if (toBlock === fromBlock) throw error;
      window = (toBlock - fromBlock + 1n) / 2n;
    }
  }
}

/** The place of a lane before its first message. */
export const emptyHead: Link = { nonce: 0n, accumulator: emptyAccumulator };

/**
 * The links that ids make behind a head of a lane. Undefined when the ids do not follow it one by one: something is
 * missing. Whether they are right is seen where they lead.
 */
export function linksBehind(head: Link, ids: readonly AppendedId[]): Link[] | undefined {
  let { nonce, accumulator } = head;
  const links: Link[] = [];
  for (const next of ids) {
    if (next.nonce !== nonce + 1n) return undefined;
    nonce = next.nonce;
    accumulator = nextAccumulator(accumulator, next.id);
    links.push({ nonce, accumulator });
  }
  return links;
}
