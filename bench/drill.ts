import { parseArgs } from "node:util";
import { controlChain } from "./drill/chains.ts";
import { createChance } from "./drill/chance.ts";
import { chooseFault } from "./drill/faults.ts";
import { settle } from "./drill/invariants.ts";
import { openWorld } from "./drill/processes.ts";
import { type Probe, startTraffic } from "./drill/traffic.ts";

/**
 * Messages and swaps over a fleet of two processes for each role and four validators, on PostgreSQL and Redis of its own,
 * while one thing after the other goes wrong as the seed has it. At the end everything has to be as if nothing had.
 */
const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    json: { type: "boolean", default: false },
    minutes: { type: "string", default: "2" },
    /** The same faults again. */
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
  },
});

const minutes = Number(values.minutes);
const seed = Number(values.seed);
/** Swaps that were begun last may have to wait for their timelocks, so none is begun in the last of the faults. */
const patienceMs = 300_000;
const lastSwapMs = 45_000;
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const say = (line: string) => console.error(`${new Date().toISOString().slice(11, 23)}  ${line}`);

const chance = createChance(seed);
say(`seed ${seed}`);
const world = await openWorld();
try {
  const chains = new Map(Object.keys(world.network.chains).map((name) => [name, controlChain(world.network, name)]));
  for (const control of chains.values()) await control.run();
  const before = await world.ledger.holdings(["alice", "bob", "carol"]);
  const end = Date.now() + minutes * 60_000;
  const traffic = await startTraffic(world, createChance(seed + 1), end - lastSwapMs);
  const faults: { kind: string; at: number }[] = [];
  await wait(2_000);
  while (Date.now() < end) {
    const fault = chooseFault(world, chains, chance);
    say(`${fault.kind}: ${fault.words}`);
    faults.push({ kind: fault.kind, at: Date.now() });
    await fault.happen();
    await wait(chance.between(500, 3_000));
  }
  say("no more faults; waiting for everything to end");
  await traffic.stop();
  const { broken, ...outcome } = await settle(world, { ...traffic, before }, patienceMs);
  const report = {
    ...{ seed, ...outcome, faults: faults.length, faultsByKind: countBy(faults.map(({ kind }) => kind)) },
    recoveryMs: recoveries(faults, traffic.probes),
    invariants: broken.length === 0 ? "hold" : broken,
  };
  if (values.json) console.log(JSON.stringify(report));
  else console.dir(report, { depth: null });
  process.exitCode = broken.length === 0 ? 0 : 1;
} finally {
  await world.close();
}

/** From each fault to the delivery of the first message that was asked for after it. */
function recoveries(faults: readonly { at: number }[], probes: readonly Probe[]): { p50: number; max: number } {
  const times = faults
    .flatMap(({ at }) => {
      const next = probes.find(({ askedAt }) => askedAt >= at);
      return next ? [next.deliveredAt - at] : [];
    })
    .sort((a, b) => a - b);
  return { p50: times[times.length >> 1] ?? 0, max: times.at(-1) ?? 0 };
}

function countBy(kinds: readonly string[]): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(kinds, (kind) => kind)].map(([kind, all]) => [kind, all.length]));
}
