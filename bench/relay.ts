import { parseArgs } from "node:util";
import { type Burst, runBurst } from "./relay/burst.ts";
import { type LanesBeside, measureLanes } from "./relay/lanes.ts";
import { measureFloor, measureLatency } from "./relay/latency.ts";
import { openWorld, type Store } from "./relay/world.ts";

/**
 * What messages take on a local network with PostgreSQL and Redis, and beside it with the embedded database: one at a
 * time, in bursts, and on nine lanes beside one whose chain hangs. What was sent, lost or delivered twice is counted from
 * the chains' logs.
 */
const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    json: { type: "boolean", default: false },
    /** `postgres`, `embedded`, or `both`. */
    store: { type: "string", default: "both" },
    messages: { type: "string", default: "10000" },
    bursts: { type: "string", default: "5" },
    single: { type: "string", default: "200" },
    /** Messages on each of the nine lanes; 0 leaves that measure out. */
    lanes: { type: "string", default: "500" },
  },
});

type Answer = {
  readonly floorMs: number;
  readonly latencyMs: { readonly p50: number; readonly p95: number };
  readonly throughput: Pick<Burst, "messages" | "perSecond" | "lost" | "duplicates">;
  /** Most that the relayer held in any burst, and in each. */
  readonly rssMiB: number;
  readonly rssMiBByBurst: readonly number[];
  readonly perSecondByBurst: readonly number[];
  readonly cpuMsPerMessage: Burst["cpuMs"];
};

async function measure(store: Store): Promise<Answer> {
  const world = await openWorld(store);
  try {
    await measureLatency(world, 20);
    const floor = await measureFloor(world.destination, Number(values.single));
    const latencyMs = await measureLatency(world, Number(values.single));
    const bursts: Burst[] = [];
    while (bursts.length < Number(values.bursts)) bursts.push(await runBurst(world, Number(values.messages)));
    const sum = (key: "messages" | "lost" | "duplicates") => bursts.reduce((total, burst) => total + burst[key], 0);
    const inOrder = bursts.toSorted((a, b) => a.perSecond - b.perSecond);
    const middle = inOrder[bursts.length >> 1];
    if (!middle) throw new RangeError("at least one burst has to run");
    const { perSecond, cpuMs } = middle;
    return {
      floorMs: floor.p50,
      latencyMs,
      throughput: { messages: sum("messages"), perSecond, lost: sum("lost"), duplicates: sum("duplicates") },
      rssMiB: Math.max(...bursts.map(({ rssMiB }) => rssMiB)),
      rssMiBByBurst: bursts.map(({ rssMiB }) => rssMiB),
      perSecondByBurst: bursts.map((burst) => burst.perSecond),
      cpuMsPerMessage: cpuMs,
    };
  } finally {
    await world.close();
  }
}

const stores: readonly Store[] = values.store === "both" ? ["postgres", "embedded"] : [values.store as Store];
const answers = new Map<Store, Answer>();
for (const store of stores) answers.set(store, await measure(store));
const lanes: LanesBeside | undefined = Number(values.lanes) > 0 ? await measureLanes(Number(values.lanes)) : undefined;
const [main, ...others] = answers.values();
if (values.json) {
  console.log(JSON.stringify({ ...main, ...(others[0] && { embedded: others[0] }), ...(lanes && { lanes }) }));
} else {
  for (const [store, { floorMs, latencyMs, throughput, cpuMsPerMessage, ...rest }] of answers) {
    console.log(`\n${store}: one transaction ${floorMs} ms; a message ${latencyMs.p50} ms (95 %: ${latencyMs.p95} ms)`);
    console.table({ ...throughput, ...rest });
    console.table(cpuMsPerMessage);
  }
  if (lanes) console.table({ ...lanes.perSecond, lost: lanes.lost });
}
