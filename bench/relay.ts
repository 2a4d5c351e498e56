import { parseArgs } from "node:util";
import { type Burst, runBurst } from "./relay/burst.ts";
import { measureFloor, measureLatency } from "./relay/latency.ts";
import { openWorld, type Store } from "./relay/world.ts";

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    json: { type: "boolean", default: false },
    store: { type: "string", default: "postgres" },
    messages: { type: "string", default: "10000" },
    bursts: { type: "string", default: "5" },
    single: { type: "string", default: "200" },
  },
});

const world = await openWorld(values.store as Store, { LOCKSTEP_LOG_LEVEL: process.env.LOCKSTEP_LOG_LEVEL ?? "info" });
try {
  const warm = Number(values.single) > 0 ? await measureLatency(world, 20) : undefined;
  const floor = await measureFloor(world.destination, Math.max(20, Number(values.single)));
  const latencyMs = Number(values.single) > 0 ? await measureLatency(world, Number(values.single)) : warm;
  console.error({ floor, latencyMs });
  const bursts: Burst[] = [];
  for (let i = 0; i < Number(values.bursts); i++) {
    const burst = await runBurst(world, Number(values.messages));
    console.error(burst);
    bursts.push(burst);
  }
} finally {
  await world.close();
}
