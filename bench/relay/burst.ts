import { encodeFunctionData, parseAbi } from "viem";
import { encodeInteroperable } from "#relay/protocol/interoperable.ts";
import { gasLimitAttribute } from "#relay/protocol/message.ts";
import { height, outcomeSince, processedNonce } from "./facts.ts";
import { type CpuTimes, cpuOfEach, cpuTimes, watchMemory } from "./processes.ts";
import type { Hex } from "./wallet.ts";
import type { Route, World } from "./world.ts";

const abi = parseAbi(["function send(address gateway, bytes recipient, bytes[] attributes, uint256 count)"]);
/** Messages that one transaction sends, and the gas limit of each. */
const together = 100;
const gasLimit = 100_000n;
/** Milliseconds without any progress after which the rest counts as lost. */
const patienceMs = 60_000;

export type Burst = {
  readonly messages: number;
  readonly perSecond: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly failed: number;
  readonly seconds: number;
  /** Seconds until the last message was on the origin: sending is part of the load. */
  readonly sendingSeconds: number;
  /** Most that the relayer held. */
  readonly rssMiB: number;
  /** CPU milliseconds per message. */
  readonly cpuMs: CpuTimes;
};

/** Sends so many messages as fast as the origin takes them and waits until the last one is delivered. */
export async function runBurst(world: World, messages: number): Promise<Burst> {
  const { origin, destination, database } = world;
  const raws = await signBurst(world, messages);
  const from = { origin: (await height(origin)) + 1n, destination: (await height(destination)) + 1n };
  const target = (await processedNonce(world)) + BigInt(raws.length * together);
  const memory = watchMemory();
  const cpuBefore = cpuTimes(database);
  const sending = sendBurst(world, raws);
  const end = await untilProcessed(world, target);
  const { first, last } = await sending;
  const cpu = cpuTimes(database);
  const rss = memory.stop();
  const outcome = await outcomeSince(world, from);
  const seconds = (end - first) / 1000;
  return {
    ...outcome,
    perSecond: Math.round((outcome.messages - outcome.lost) / seconds),
    seconds: round(seconds),
    sendingSeconds: round((last - first) / 1000),
    rssMiB: Math.round(rss),
    cpuMs: cpuOfEach(cpuBefore, cpu, outcome.messages),
  };
}

/** Transactions of a hundred messages each, to be sent in this order. */
export async function signBurst({ origin, destination, counter, senders }: Route, messages: number): Promise<Hex[]> {
  const recipient = encodeInteroperable({ chainId: destination.chain.chainId, address: counter });
  const { gateway } = origin.chain.deployment;
  const args = [gateway, recipient, [gasLimitAttribute(gasLimit)], BigInt(together)] as const;
  const data = encodeFunctionData({ abi, functionName: "send", args });
  const raws: Hex[] = [];
  while (raws.length * together < messages) {
    const to = senders[raws.length % senders.length] as Hex;
    raws.push(await origin.sign({ to, data, gas: 12_000_000n }));
  }
  return raws;
}

/** Sends one after the other; answers when the first and the last were in a block, which is final at once. */
export async function sendBurst({ origin }: Route, raws: readonly Hex[]): Promise<{ first: number; last: number }> {
  let first = 0;
  for (const raw of raws) {
    await origin.send(raw);
    first ||= performance.now();
  }
  return { first, last: performance.now() };
}

/** When the destination was seen to have processed the nonce; the time of the last progress if it never does. */
export async function untilProcessed(route: Route, target: bigint): Promise<number> {
  let last = { nonce: -1n, at: performance.now() };
  for (;;) {
    const nonce = await processedNonce(route);
    const now = performance.now();
    if (nonce >= target) return now;
    if (nonce !== last.nonce) last = { nonce, at: now };
    if (now - last.at > patienceMs) return last.at;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

const round = (value: number) => Math.round(value * 1000) / 1000;
