import { encodeFunctionData, parseAbi } from "viem";
import { encodeInteroperable } from "#relay/protocol/interoperable.ts";
import { gasLimitAttribute } from "#relay/protocol/message.ts";
import { height, outcomeSince, processedNonce } from "./facts.ts";
import { type CpuTimes, cpuSince, cpuTimes, relayerMiB } from "./processes.ts";
import type { World } from "./world.ts";

const abi = parseAbi(["function send(address gateway, bytes recipient, bytes[] attributes, uint256 count)"]);
/** Messages that one transaction sends, and the gas limit of each. */
const together = 100;
const gasLimit = 100_000n;
/** Milliseconds without any progress after which the rest counts as lost. */
const patienceMs = 30_000;

export type Burst = {
  readonly messages: number;
  readonly perSecond: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly failed: number;
  readonly seconds: number;
  /** Seconds until the last message was on the origin: sending is part of the load. */
  readonly sendingSeconds: number;
  readonly rssMiB: number;
  /** CPU milliseconds per message. */
  readonly cpuMs: CpuTimes;
};

/** Sends so many messages as fast as the origin takes them and waits until the last one is delivered. */
export async function runBurst(world: World, messages: number): Promise<Burst> {
  const { origin, destination, senders, database } = world;
  const raws = await signed(world, Math.ceil(messages / together));
  const from = { origin: await height(origin), destination: await height(destination) };
  const before = await processedNonce(world);
  const target = before + BigInt(raws.length * together);
  const cpuBefore = cpuTimes(database);
  let start = 0;
  const sent = (async () => {
    for (const raw of raws) {
      await origin.send(raw);
      // Blocks are final at once, so the first final message is that of the first block.
      start ||= performance.now();
    }
    return performance.now();
  })();
  const watched = await untilProcessed(world, target, sent);
  const sendingEnd = await sent;
  const cpu = cpuSince(cpuBefore, cpuTimes(database));
  const outcome = await outcomeSince(world, { origin: from.origin + 1n, destination: from.destination + 1n });
  const seconds = (watched.end - start) / 1000;
  const each = ([name, ms]: [string, number]) => [name, round(ms / outcome.messages)];
  return {
    ...outcome,
    perSecond: Math.round((outcome.messages - outcome.lost) / seconds),
    seconds: round(seconds),
    sendingSeconds: round((sendingEnd - start) / 1000),
    rssMiB: Math.round(watched.rss),
    cpuMs: Object.fromEntries(Object.entries(cpu).map(each)),
  };

  async function signed({ counter }: World, count: number) {
    const recipient = encodeInteroperable({ chainId: destination.chain.chainId, address: counter });
    const args = [
      ...([origin.chain.deployment.gateway, recipient, [gasLimitAttribute(gasLimit)]] as const),
      BigInt(together),
    ] as const;
    const data = encodeFunctionData({ abi, functionName: "send", args });
    const all: `0x${string}`[] = [];
    for (let i = 0; i < count; i++) {
      const to = senders[i % senders.length] as `0x${string}`;
      all.push(await origin.sign({ to, data, gas: 12_000_000n }));
    }
    return all;
  }
}

/** When the destination had processed the nonce, and the most memory that the relayer was seen with meanwhile. */
async function untilProcessed(
  world: World,
  target: bigint,
  sent: Promise<unknown>,
): Promise<{ end: number; rss: number }> {
  await Promise.race([sent, pause(0)]);
  let rss = 0;
  let last = { nonce: -1n, at: performance.now() };
  for (;;) {
    const nonce = await processedNonce(world);
    const now = performance.now();
    rss = Math.max(rss, relayerMiB());
    if (nonce >= target) return { end: now, rss };
    if (nonce !== last.nonce) last = { nonce, at: now };
    if (now - last.at > patienceMs) return { end: last.at, rss };
    await pause(25);
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const round = (value: number) => Math.round(value * 1000) / 1000;
