import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Flaw, simulate } from "./world.ts";

/** Schedules that are tried; each is one seed. */
const schedules = Number(process.env.LOCKSTEP_SIMULATIONS ?? 2_000);
/** Where to begin: the seed of a failure, to see it again. */
const firstSeed = Number(process.env.LOCKSTEP_SIMULATION_SEED ?? 1);
/** Schedules after which a flaw has to be found. */
const patience = 2_000;

const agreeing = async () => ({ send: true }) as const;

/** What a service could do wrong with both parties in its hands, each of which costs somebody. */
const flaws: Readonly<Record<string, Flaw>> = {
  "no mark before the secret leaves": {
    guard: (kind, guard) => (kind === "swap.claim-target" ? agreeing : guard),
  },
  "a claim that may be sent at any time": {
    guard: (kind, guard) => (kind === "swap.claim-target" ? agreeing : guard),
    intent: ({ notAfter: _, ...intent }) => intent,
  },
};

describe("a swap of two managed parties", () => {
  it(`costs nobody anything on ${schedules} schedules from seed ${firstSeed} on`, async () => {
    const ends = new Map<string, number>();
    for (let seed = firstSeed; seed < firstSeed + schedules; seed++) {
      const { problems, status } = await simulate(seed);
      assert.deepEqual(problems, [], `LOCKSTEP_SIMULATION_SEED=${seed} LOCKSTEP_SIMULATIONS=1 shows it again`);
      ends.set(status, (ends.get(status) ?? 0) + 1);
    }
    if (schedules >= 1_000) assert.ok((ends.get("claimed/claimed") ?? 0) > schedules / 2, "most are completed");
  });

  it("is the same from the same seed", async () => {
    for (const seed of [3, 17, 99]) assert.deepEqual(await simulate(seed), await simulate(seed));
  });

  for (const [name, flaw] of Object.entries(flaws)) {
    it(`would cost somebody something with ${name}`, async () => {
      for (let seed = 1; seed <= patience; seed++) if ((await simulate(seed, flaw)).problems.length > 0) return;
      assert.fail(`${patience} schedules did not show it`);
    });
  }
});
