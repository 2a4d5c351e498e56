import { decodeFunctionResult, encodeFunctionData, erc20Abi } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { createGatewayReader } from "../gateway.ts";
import type { RelayChain } from "../lane.ts";

/** A fungible token that is locked on one chain and minted on another. */
export type Bridge = {
  readonly name: string;
  /** Where the tokens are: `bridge` holds what is locked. */
  readonly home: { readonly at: RelayChain; readonly token: Hex; readonly bridge: Hex };
  /** Where they are minted: nobody else mints this token. */
  readonly remote: { readonly at: RelayChain; readonly token: Hex };
};

/** Amounts of two blocks that can be compared, in the token's smallest units. */
export type Backing = {
  readonly locked: bigint;
  readonly minted: bigint;
  readonly homeBlock: bigint;
  readonly remoteBlock: bigint;
};

/** Nonces of both directions as one chain has them at a block. */
type Heads = { readonly sent: bigint; readonly processed: bigint };

/** How far back from its final block the remote chain is looked at for one that fits. */
const furthestBack = 1_024n;

/**
 * Reads how much is locked and how much is minted, at two final blocks of which one follows from the other. With p and s
 * the messages that home has processed and sent at its block, and q and m those that remote has sent and processed at
 * its own: what was minted came by messages up to m and what was released went by messages up to p, so where m ≤ s and
 * p ≤ q, minted ≤ locked holds whatever is under way, and its opposite proves that something was minted or released
 * which was not locked or burned. Balances of blocks that do not fit prove nothing. Undefined when no remote block fits:
 * look again later.
 */
export async function readBacking({ home, remote }: Bridge): Promise<Backing | undefined> {
  const homeBlock = await finalHeight(home.at);
  const here = await headsAt(home.at, remote.at, homeBlock);
  // Read after home, so that it is not older than what home has processed.
  const newest = await finalHeight(remote.at);
  const remoteBlock = await fitting(home.at, remote.at, here, newest);
  if (remoteBlock === undefined) return undefined;
  const [locked, minted] = await Promise.all([
    readUint(home.at, home.token, homeBlock, { functionName: "balanceOf", args: [home.bridge] }),
    readUint(remote.at, remote.token, remoteBlock, { functionName: "totalSupply" }),
  ]);
  return { locked, minted, homeBlock, remoteBlock };
}

/** The newest block of remote, or one of those before it at growing distances, that fits home's heads. */
async function fitting(home: RelayChain, remote: RelayChain, here: Heads, newest: bigint): Promise<bigint | undefined> {
  for (let back = 0n; back <= furthestBack && back <= newest; back = back === 0n ? 1n : 2n * back) {
    const there = await headsAt(remote, home, newest - back);
    // Further back it has sent still less.
    if (there.sent < here.processed) return undefined;
    if (there.processed <= here.sent) return newest - back;
  }
  return undefined;
}

async function headsAt(at: RelayChain, other: RelayChain, height: bigint): Promise<Heads> {
  const gateway = createGatewayReader(at);
  const [sent, processed] = await Promise.all([
    gateway.outboundHead(other.chain.chainId, height),
    gateway.inboundHead(other.chain.chainId, height),
  ]);
  return { sent: sent.nonce, processed: processed.nonce };
}

async function finalHeight({ chain }: RelayChain): Promise<bigint> {
  return (await chain.block("final"))?.number ?? 0n;
}

type Reading = { functionName: "totalSupply" } | { functionName: "balanceOf"; args: readonly [Hex] };

async function readUint({ chain }: RelayChain, token: Hex, at: bigint, reading: Reading): Promise<bigint> {
  const data = await chain.call({ to: token, data: encodeFunctionData({ abi: erc20Abi, ...reading }) }, at);
  return decodeFunctionResult({ abi: erc20Abi, functionName: reading.functionName, data });
}
