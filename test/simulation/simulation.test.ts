import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import type { Share, ShareResult } from "./share.ts";
import { type Outcome, simulate } from "./world.ts";

/** Schedules that are tried; each is one seed. */
const schedules = Number(process.env.LOCKSTEP_SIMULATIONS ?? 4_000);
/** Where to begin: the seed of a failure, to see it again. */
const firstSeed = Number(process.env.LOCKSTEP_SIMULATION_SEED ?? 1);
/** Prints the timeline of every schedule: for one of them. */
const isTraced = process.env.LOCKSTEP_SIMULATION_TRACE !== undefined;

const completed = "claimed/claimed";

/** Each processor tries its share of the seeds. */
async function simulateAll(): Promise<Map<string, number>> {
  const shares = Math.max(1, Math.min(availableParallelism(), schedules));
  const results = Array.from({ length: shares }, (_, share) => {
    const workerData: Share = { first: firstSeed + share, step: shares, end: firstSeed + schedules, isTraced };
    const worker = new Worker(new URL("share.ts", import.meta.url), { workerData });
    return new Promise<ShareResult>((resolve, reject) => worker.once("message", resolve).once("error", reject));
  });
  const ends = new Map<string, number>();
  for (const result of await Promise.all(results)) {
    for (const line of result.trace) process.stdout.write(`${line}\n`);
    const { failed } = result;
    const again = `LOCKSTEP_SIMULATION_SEED=${failed?.seed} LOCKSTEP_SIMULATIONS=1 LOCKSTEP_SIMULATION_TRACE=1 shows it again`;
    assert.deepEqual(failed?.problems ?? [], [], again);
    for (const [end, count] of result.ends) ends.set(end, (ends.get(end) ?? 0) + count);
  }
  return ends;
}

describe("a swap", () => {
  it(`costs no honest party anything on ${schedules} schedules from seed ${firstSeed} on`, async () => {
    const ends = await simulateAll();
    assert.equal(
      [...ends.values()].reduce((sum, count) => sum + count, 0),
      schedules,
    );
    if (schedules < 2_000) return;
    // Schedules in which nothing comes about would prove nothing.
    for (const cast of ["managed", "prompt", "slow"]) {
      const all = [...ends].filter(([end]) => end.startsWith(cast)).reduce((sum, [, count]) => sum + count, 0);
      assert.ok((ends.get(`${cast} ${completed}`) ?? 0) > all / 2, `most are completed: ${[...ends].join(" ")}`);
    }
    for (const end of [`malicious ${completed}`, "malicious refunded/refunded", `siege ${completed}`]) {
      assert.ok((ends.get(end) ?? 0) > schedules / 100, `${end} is common`);
    }
  });

  it("is the same from the same seed", async () => {
    const run = async (seed: number): Promise<Outcome> => simulate(seed, {}, true);
    for (const seed of [3, 17, 99, 155]) assert.deepEqual(await run(seed), await run(seed));
  });
});
