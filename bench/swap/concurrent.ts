import { type CpuTimes, cpuSince, cpuTimes } from "../relay/processes.ts";
import type { World } from "../relay/world.ts";
import { inParallel, managedSwap, openApi, type SwapAnswer } from "./swaps.ts";

export type Concurrent = {
  readonly swaps: number;
  readonly perSecond: number;
  readonly lost: number;
  /** Swaps accepted a second while they were asked for. */
  readonly acceptedPerSecond: number;
  readonly cpuMsPerSwap: CpuTimes;
};

/** Requests at a time: clients of a service are many. */
const width = 20;
const timeoutMs = 240_000;

/** So many managed swaps at once, from the first request until the last is completed. */
export async function measureConcurrent(world: World, swaps: number): Promise<Concurrent> {
  const api = openApi(world);
  const before = cpuTimes(world.database);
  const start = performance.now();
  const asked = Array.from({ length: swaps }, () => managedSwap);
  const ids = await inParallel(asked, width, async (body) => (await api.post<SwapAnswer>("/v1/swaps", body)).id);
  const acceptedMs = performance.now() - start;
  let lost = 0;
  // The last ones end last, so they are asked about first: what is left is then mostly there.
  for (const id of ids.toReversed()) {
    const left = Math.max(1_000, timeoutMs - (performance.now() - start));
    const ended = ({ status }: SwapAnswer) => ["completed", "refunded", "failed"].includes(status);
    const swap = await api.until<SwapAnswer>(`/v1/swaps/${id}`, ended, left).catch(() => undefined);
    if (swap?.status !== "completed") lost += 1;
  }
  const seconds = (performance.now() - start) / 1_000;
  const cpu = Object.entries(cpuSince(before, cpuTimes(world.database)));
  return {
    swaps,
    perSecond: round((swaps - lost) / seconds),
    lost,
    acceptedPerSecond: round((swaps * 1_000) / acceptedMs),
    cpuMsPerSwap: Object.fromEntries(cpu.map(([role, ms]) => [role, round(ms / swaps)])),
  };
}

const round = (value: number) => Math.round(value * 10) / 10;
