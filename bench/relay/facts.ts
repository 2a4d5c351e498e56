import { encodeFunctionData, getAbiItem, numberToHex, toEventSelector } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Wallet } from "./wallet.ts";
import type { Route } from "./world.ts";

type Log = { readonly topics: readonly `0x${string}`[] };

const selectorOf = (name: "LaneAppended" | "MessageExecuted" | "MessageFailed") =>
  toEventSelector(getAbiItem({ abi: gatewayAbi, name }));
export const executedSelector = selectorOf("MessageExecuted");

export const height = async (wallet: Wallet): Promise<bigint> => BigInt(await wallet.rpc<string>("eth_blockNumber"));

/** Ids of messages in the logs of a chain's gateway from a block on; what happened is read off the chains alone. */
async function idsSince(wallet: Wallet, name: Parameters<typeof selectorOf>[0], from: bigint): Promise<string[]> {
  const ids: string[] = [];
  const end = await height(wallet);
  for (let block = from; block <= end; block += 20n) {
    const [fromBlock, toBlock] = [block, block + 19n].map((each) => numberToHex(each));
    const address = wallet.chain.deployment.gateway;
    const logs = await wallet.rpc<Log[]>("eth_getLogs", [{ fromBlock, toBlock, address, topics: [selectorOf(name)] }]);
    ids.push(...logs.map(({ topics }) => topics[name === "LaneAppended" ? 3 : 1] ?? ""));
  }
  return ids;
}

/** What became of the messages sent since these heights. */
export async function outcomeSince({ origin, destination }: Route, from: { origin: bigint; destination: bigint }) {
  const sent = new Set(await idsSince(origin, "LaneAppended", from.origin));
  const executed = await idsSince(destination, "MessageExecuted", from.destination);
  const failed = await idsSince(destination, "MessageFailed", from.destination);
  const once = new Set(executed);
  return {
    messages: sent.size,
    lost: [...sent].filter((id) => !once.has(id)).length,
    duplicates: executed.length - once.size,
    failed: failed.length,
  };
}

/** The newest nonce of the lane that the destination has processed. */
export async function processedNonce({ origin, destination }: Route): Promise<bigint> {
  const data = encodeFunctionData({
    abi: gatewayAbi,
    functionName: "inboundHead",
    args: [BigInt(origin.chain.chainId)],
  });
  const to = destination.chain.deployment.gateway;
  const answer = await destination.rpc<string>("eth_call", [{ to, data }, "latest"]);
  // Accumulator, nonce, generation: a word each.
  return BigInt(`0x${answer.slice(2 + 64, 2 + 128)}`);
}
