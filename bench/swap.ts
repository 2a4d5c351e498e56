import { parseArgs } from "node:util";
import { openWorld } from "./relay/world.ts";
import { measureConcurrent } from "./swap/concurrent.ts";
import { measureBatchGas } from "./swap/gas.ts";
import { measureFloor, measureLatency } from "./swap/latency.ts";
import { measureWaiting } from "./swap/waiting.ts";

/** What swaps take on a local network with PostgreSQL and Redis whose chains mine at once. */
const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    json: { type: "boolean", default: false },
    single: { type: "string", default: "50" },
    swaps: { type: "string", default: "500" },
    /** Open swaps that wait for their timeouts; 0 leaves that measure out. */
    waiting: { type: "string", default: "10000" },
  },
});

const world = await openWorld("postgres");
try {
  await measureLatency(world, 5);
  const floor = await measureFloor(world, Number(values.single));
  const latencyMs = await measureLatency(world, Number(values.single));
  const { cpuMsPerSwap, ...concurrent } = await measureConcurrent(world, Number(values.swaps));
  const batchGasPerSwap = await measureBatchGas(world.destination);
  const waiting = Number(values.waiting) > 0 ? await measureWaiting(world, Number(values.waiting)) : undefined;
  const answer = {
    floorMs: floor.p50,
    latencyMs,
    concurrent,
    cpuMsPerSwap,
    batchGasPerSwap,
    ...(waiting && { waiting }),
  };
  if (values.json) console.log(JSON.stringify(answer));
  else {
    console.log(`four transactions ${floor.p50} ms; a swap ${latencyMs.p50} ms (95 %: ${latencyMs.p95} ms)`);
    console.table(concurrent);
    console.table(cpuMsPerSwap);
    console.log(`a counter-lock of sixteen in one transaction and its claim: ${batchGasPerSwap} gas`);
    if (waiting) console.table(waiting);
  }
} finally {
  await world.close();
}
