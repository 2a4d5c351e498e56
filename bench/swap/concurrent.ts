import { type CpuTimes, cpuOfEach, cpuTimes } from "../relay/processes.ts";
import type { World } from "../relay/world.ts";
import { inParallel, managedSwap, openApi, type SwapAnswer, type SwapApi } from "./swaps.ts";

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
const lookMs = 100;
/** Swaps that are looked at when the oldest has ended. */
const atOnce = 25;
const ends = new Set(["completed", "refunded", "failed", "initiatorLost", "counterpartyLost"]);

/** So many managed swaps at once, from the first request until the last is completed. */
export async function measureConcurrent(world: World, swaps: number): Promise<Concurrent> {
  const api = openApi(world);
  const before = cpuTimes(world.database);
  const start = performance.now();
  const asked = Array.from({ length: swaps }, () => managedSwap);
  const ids = await inParallel(asked, width, async (body) => (await api.post<SwapAnswer>("/v1/swaps", body)).id);
  const acceptedMs = performance.now() - start;
  const completed = await untilEnded(api, ids, start);
  const lost = swaps - completed;
  const seconds = (performance.now() - start) / 1_000;
  return {
    swaps,
    perSecond: round((swaps - lost) / seconds),
    lost,
    acceptedPerSecond: round((swaps * 1_000) / acceptedMs),
    cpuMsPerSwap: cpuOfEach(before, cpuTimes(world.database), swaps),
  };
}

/** Looks seldom: whoever looks takes time from who works. Answers how many were completed. */
async function untilEnded(api: SwapApi, ids: readonly string[], start: number): Promise<number> {
  let open = [...ids];
  let completed = 0;
  while (open.length > 0 && performance.now() - start < timeoutMs) {
    await new Promise((resolve) => setTimeout(resolve, lookMs));
    // The oldest ends first: what comes after one that goes on goes on too, mostly.
    const [first = ""] = open;
    if (!ends.has((await api.get<SwapAnswer>(`/v1/swaps/${first}`)).status)) continue;
    const answers = await inParallel(open.slice(0, atOnce), width, (id) => api.get<SwapAnswer>(`/v1/swaps/${id}`));
    const ended = new Set(answers.filter(({ status }) => ends.has(status)).map(({ id }) => id));
    completed += answers.filter(({ status }) => status === "completed").length;
    open = open.filter((id) => !ended.has(id));
  }
  return completed;
}

const round = (value: number) => Math.round(value * 10) / 10;
