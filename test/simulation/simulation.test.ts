import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Outcome, simulate } from "./world.ts";

/** Schedules that are tried; each is one seed. */
const schedules = Number(process.env.LOCKSTEP_SIMULATIONS ?? 4_000);
/** Where to begin: the seed of a failure, to see it again. */
const firstSeed = Number(process.env.LOCKSTEP_SIMULATION_SEED ?? 1);
/** Prints the timeline of every schedule: for one of them. */
const isTraced = process.env.LOCKSTEP_SIMULATION_TRACE !== undefined;

const completed = "claimed/claimed";

describe("a swap", () => {
  it(`costs no honest party anything on ${schedules} schedules from seed ${firstSeed} on`, async () => {
    const ends = new Map<string, number>();
    for (let seed = firstSeed; seed < firstSeed + schedules; seed++) {
      const { problems, status, cast, trace } = await simulate(seed, {}, isTraced);
      if (isTraced) process.stdout.write(`${trace.join("\n")}\n`);
      const again = `LOCKSTEP_SIMULATION_SEED=${seed} LOCKSTEP_SIMULATIONS=1 LOCKSTEP_SIMULATION_TRACE=1 shows it again`;
      assert.deepEqual(problems, [], again);
      const end = `${cast} ${status}`;
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
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
