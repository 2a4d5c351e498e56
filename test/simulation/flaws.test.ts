import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { flaws } from "./flaws.ts";
import { simulate } from "./world.ts";

/** Schedules after which a flaw has to be found. */
const patience = 4_000;

describe("the simulation", () => {
  for (const [name, flaw] of Object.entries(flaws)) {
    it(`finds ${name}`, async (test) => {
      for (let seed = 1; seed <= patience; seed++) {
        const { problems } = await simulate(seed, flaw);
        if (problems.length === 0) continue;
        return test.diagnostic(`after ${seed} schedules: ${problems.join(", ")}`);
      }
      assert.fail(`${patience} schedules did not show it`);
    });
  }
});
