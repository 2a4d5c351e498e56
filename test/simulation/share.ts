import { parentPort, workerData } from "node:worker_threads";
import { simulate } from "./world.ts";

/** Every so many seeds from the first one on, before the end. */
export type Share = { readonly first: number; readonly step: number; readonly end: number; readonly isTraced: boolean };

/** How often the schedules ended how, and the first that cost somebody something. */
export type ShareResult = {
  readonly ends: ReadonlyMap<string, number>;
  readonly trace: readonly string[];
  readonly failed?: { readonly seed: number; readonly problems: readonly string[] };
};

async function run({ first, step, end, isTraced }: Share): Promise<ShareResult> {
  const ends = new Map<string, number>();
  const lines: string[] = [];
  for (let seed = first; seed < end; seed += step) {
    const { problems, status, cast, trace } = await simulate(seed, {}, isTraced);
    if (isTraced) lines.push(...trace);
    if (problems.length > 0) return { ends, trace: lines, failed: { seed, problems } };
    ends.set(`${cast} ${status}`, (ends.get(`${cast} ${status}`) ?? 0) + 1);
  }
  return { ends, trace: lines };
}

parentPort?.postMessage(await run(workerData as Share));
