import { parseArgs } from "node:util";
import { openWorld } from "./relay/world.ts";
import { measureConcurrent } from "./swap/concurrent.ts";
import { measureFloor, measureLatency } from "./swap/latency.ts";

/** What swaps take on a local network with PostgreSQL and Redis whose chains mine at once. */
const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    json: { type: "boolean", default: false },
    single: { type: "string", default: "50" },
    swaps: { type: "string", default: "500" },
  },
});

const world = await openWorld("postgres");
try {
  await measureLatency(world, 5);
  const floor = await measureFloor(world, Number(values.single));
  const latencyMs = await measureLatency(world, Number(values.single));
  const { cpuMsPerSwap, ...concurrent } = await measureConcurrent(world, Number(values.swaps));
  const answer = { floorMs: floor.p50, latencyMs, concurrent, cpuMsPerSwap };
  if (values.json) console.log(JSON.stringify(answer));
  else {
    console.log(`four transactions ${floor.p50} ms; a swap ${latencyMs.p50} ms (95 %: ${latencyMs.p95} ms)`);
    console.table(concurrent);
    console.table(cpuMsPerSwap);
  }
} finally {
  await world.close();
}
