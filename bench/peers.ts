import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { numberToHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { localKey } from "#test/support/localChain.ts";
import { type Hyperlane, startHyperlane } from "./peers/hyperlane.ts";
import { installHyperlane } from "./peers/install.ts";
import { runBurst } from "./relay/burst.ts";
import { measureFloor, measureLatency, type Quantiles, quantiles } from "./relay/latency.ts";
import { openWorld, type World } from "./relay/world.ts";

/**
 * Another relayer on the same two chains, one after the other, each alone: hyperlane's TypeScript relayer as it is
 * published. Its production relayer is another program, written in Rust, of which this says nothing.
 */
const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    json: { type: "boolean", default: false },
    single: { type: "string", default: "20" },
    burst: { type: "string", default: "200" },
  },
});
const single = Number(values.single);
const inBurst = Number(values.burst);
/** Milliseconds without a new delivery after which the rest counts as lost. */
const patienceMs = 30_000;
const say = (line: string) => console.error(line);

type Figures = {
  readonly latencyMs: Quantiles;
  readonly lostSingle: number;
  readonly perSecond: number;
  readonly lost: number;
};

const cli = installHyperlane(say);
const world = await openWorld("postgres");
try {
  const floorMs = (await measureFloor(world.destination, 50)).p50;
  const lockstep = await measureLockstep(world);
  const hyperlane = cli === undefined ? undefined : await measureHyperlane(world, cli);
  if (values.json) console.log(JSON.stringify({ floorMs, lockstep, hyperlane }));
  else {
    console.log(`floor (one raw transaction to its receipt): ${floorMs} ms`);
    console.table({
      lockstep: rowOf(lockstep),
      ...(hyperlane && { "hyperlane (TypeScript relayer)": rowOf(hyperlane) }),
    });
  }
} finally {
  await world.close();
}

function rowOf({ latencyMs, lostSingle, perSecond, lost }: Figures) {
  const row = {
    "median ms": latencyMs.p50,
    "95th percentile ms": latencyMs.p95,
    [`lost of ${single} sent singly`]: lostSingle,
  };
  return { ...row, [`delivered a second of ${inBurst}`]: perSecond, "lost in the burst": lost };
}

async function measureLockstep(measured: World): Promise<Figures> {
  await measureLatency(measured, 5);
  const latencyMs = await measureLatency(measured, single);
  const { perSecond, lost } = await runBurst(measured, inBurst);
  return { latencyMs, lostSingle: 0, perSecond, lost };
}

/** With this project's own processes stopped, so that the other one has the machine for itself. */
async function measureHyperlane({ network, origin, destination }: World, script: string): Promise<Figures> {
  await Promise.all([network.service, ...network.validators].map((unit) => unit.stop()));
  const folder = mkdtempSync(join(tmpdir(), "lockstep-peers-"));
  const key = localKey(7);
  const { address } = privateKeyToAccount(key);
  for (const wallet of [origin, destination])
    await wallet.rpc("hardhat_setBalance", [address, numberToHex(10n ** 24n)]);
  const chains = { origin: origin.chain, destination: destination.chain };
  const peer = await startHyperlane({ cli: script, folder, key, ...chains });
  try {
    await deliver(peer, 1);
    const times: number[] = [];
    for (let i = 0; i < single; i++) times.push(...(await deliver(peer, 1)).times);
    const burst = await deliver(peer, inBurst);
    const seconds = Math.max(...burst.times, 1) / 1000;
    const perSecond = Math.round((burst.times.length / seconds) * 10) / 10;
    return {
      latencyMs: quantiles(times),
      lostSingle: single - times.length,
      perSecond,
      lost: inBurst - burst.times.length,
    };
  } finally {
    await peer.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Sends so many messages one after the other and waits; for each delivered one the milliseconds since the first was sent. */
async function deliver(peer: Hyperlane, count: number): Promise<{ times: number[] }> {
  const from = (await peer.destinationHeight()) + 1n;
  const start = performance.now();
  const sent = new Set<string>();
  const arrived = new Map<string, number>();
  let last = start;
  const sending = (async () => {
    for (let i = 0; i < count; i++) sent.add(await peer.dispatch());
  })();
  while (arrived.size < count && performance.now() - last < patienceMs) {
    for (const { id } of await peer.processed(from)) {
      if (arrived.has(id)) continue;
      last = performance.now();
      arrived.set(id, last - start);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await sending;
  return { times: [...arrived].filter(([id]) => sent.has(id)).map(([, time]) => time) };
}
