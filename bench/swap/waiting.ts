import { randomBytes } from "node:crypto";
import { getAbiItem, numberToHex, toEventSelector } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import { watchMemory } from "../relay/processes.ts";
import { createWallet, type Hex, type Wallet } from "../relay/wallet.ts";
import type { World } from "../relay/world.ts";
import { inParallel, openApi, type SwapAnswer } from "./swaps.ts";

export type WaitingSwaps = {
  readonly swaps: number;
  /** Most that the service held while all were open, and while they were refunded. */
  readonly rssMiB: number;
  readonly rssMiBRefunding: number;
  /** Blocks between the first one in which a refund could stand and its own: all but the slowest twentieth, and all. */
  readonly refundDelayBlocks: number;
  readonly refundDelayBlocksMost: number;
  readonly refunded: number;
};

type Ready = { to: Hex; data: Hex; value: string };
type Log = { readonly topics: readonly Hex[]; readonly blockNumber: Hex };

/** Refunds that fall due a second. */
const dueEachSecond = 40;
/** Seconds for asking and locking before the first is due; what a swap takes at least is less. */
const secondsOf = (swaps: number) => 60 + Math.ceil(swaps / 35);
const refundedSelector = toEventSelector(getAbiItem({ abi: hashedTimelockAbi, name: "Refunded" }));

/**
 * Swaps of two parties outside the service, of whom only the initiator locks: all wait for the source timelock, when the
 * service refunds them. Chains make a block a second.
 */
export async function measureWaiting(world: World, swaps: number): Promise<WaitingSwaps> {
  const [alpha, beta] = [world.network.chains.alpha, world.network.chains.beta];
  if (!alpha || !beta) throw new Error("the network has other chains than expected");
  const [locker, taker] = await Promise.all([createWallet(alpha, 5), createWallet(beta, 6)]);
  for (const wallet of [locker, taker]) {
    await wallet.rpc("evm_setAutomine", [false]);
    await wallet.rpc("evm_setIntervalMining", [1_000]);
  }
  const firstDue = Math.floor(Date.now() / 1_000) + secondsOf(swaps);
  const answers = await inParallel(
    Array.from({ length: swaps }, (_, i) => i),
    20,
    (index) =>
      openApi(world).post<SwapAnswer & { next: { transactions: Ready[] } }>("/v1/swaps", {
        source: { chain: "alpha", asset: { type: "native" }, amount: "1" },
        target: { chain: "beta", asset: { type: "native" }, amount: "1" },
        initiator: { source: locker.address, target: locker.address },
        counterparty: { source: taker.address, target: taker.address },
        hashlock: `0x${randomBytes(32).toString("hex")}`,
        timelocks: timelocksOf(firstDue + Math.floor(index / dueEachSecond)),
      }),
  );
  const from = BigInt(await locker.rpc<Hex>("eth_blockNumber"));
  await lockAll(
    locker,
    answers.flatMap(({ next }) => next.transactions),
  );
  const timelocks = new Map(answers.map(({ source }) => [source.lockId, Number(source.timelock)]));
  const first = Math.min(...timelocks.values());
  const memory = watchMemory();
  await until(first);
  const rssMiB = memory.stop();
  const refunding = watchMemory();
  await until(Math.max(...timelocks.values()) + 15);
  const delays = await delaysOf(locker, from, timelocks);
  const sorted = delays.toSorted((a, b) => a - b);
  return {
    swaps,
    rssMiB: Math.round(rssMiB),
    rssMiBRefunding: Math.round(refunding.stop()),
    refundDelayBlocks: sorted[Math.floor(sorted.length * 0.95)] ?? -1,
    refundDelayBlocksMost: sorted.at(-1) ?? -1,
    refunded: delays.length,
  };
}

/** The target timelock leaves time to ask and lock; nobody locks that leg. */
function timelocksOf(due: number): { source: number; target: number } {
  const source = due - Math.floor(Date.now() / 1_000);
  return { source, target: source - 20 };
}

const until = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000 - Date.now()));

async function lockAll(wallet: Wallet, ready: readonly Ready[]): Promise<void> {
  const hashes: Hex[] = [];
  for (const { to, data, value } of ready) {
    hashes.push(await wallet.send(await wallet.sign({ to, data, value: BigInt(value), gas: 70_000n })));
  }
  const last = hashes.at(-1);
  while (last && (await wallet.rpc("eth_getTransactionReceipt", [last])) === null)
    await until(Date.now() / 1_000 + 0.5);
}

/** For every refund that the chain shows: blocks from the first whose time allowed it. */
async function delaysOf(wallet: Wallet, from: bigint, timelocks: ReadonlyMap<Hex, number>): Promise<number[]> {
  const end = BigInt(await wallet.rpc<Hex>("eth_blockNumber"));
  const times: { block: bigint; time: number }[] = [];
  for (let block = from; block <= end; block++) {
    const { timestamp } = await wallet.rpc<{ timestamp: Hex }>("eth_getBlockByNumber", [numberToHex(block), false]);
    times.push({ block, time: Number(timestamp) });
  }
  const delays: number[] = [];
  for (let block = from; block <= end; block += 20n) {
    const [fromBlock, toBlock] = [block, block + 19n].map((each) => numberToHex(each));
    const filter = { fromBlock, toBlock, address: wallet.chain.deployment.timelock, topics: [refundedSelector] };
    for (const { topics, blockNumber } of await wallet.rpc<Log[]>("eth_getLogs", [filter])) {
      const timelock = timelocks.get(topics[1] ?? "0x");
      const possible = times.find(({ time }) => timelock !== undefined && time >= timelock);
      if (possible) delays.push(Number(BigInt(blockNumber) - possible.block));
    }
  }
  return delays;
}
