import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { sharedInTurn } from "#core/kernel/turn.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("work that is shared in a turn", () => {
  it("is done once for each key in every turn, and never answers for another key or from before the question", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(fc.bigInt(0n, 3n), { maxLength: 8 }), { maxLength: 6 }), async (turns) => {
        let begun = 0;
        let now = 0;
        const ask = sharedInTurn(async (key: bigint) => {
          begun += 1;
          // What the work sends leaves at the end of the turn, and what it learns is of then.
          await turn();
          return { key, at: now };
        });
        const answers: Promise<{ key: bigint; at: number; wanted: bigint; asked: number }>[] = [];
        for (const keys of turns) {
          const before = begun;
          const asked = now;
          for (const key of keys) {
            answers.push(ask(key).then((answer) => ({ ...answer, wanted: key, asked })));
            // Within a turn others may run in between.
            await Promise.resolve();
          }
          assert.equal(begun - before, new Set(keys).size);
          await turn();
          now += 1;
        }
        for (const { key, at, wanted, asked } of await Promise.all(answers)) {
          assert.equal(key, wanted);
          assert.ok(at >= asked);
        }
      }),
      { numRuns: 100 },
    );
  });

  it("is begun anew for whoever asks when what the work sent has just left", async () => {
    let begun = 0;
    const ask = sharedInTurn(async (_key: "head") => {
      begun += 1;
      await turn();
    });
    const left = ask("head").then(() => ask("head"));
    await left;
    assert.equal(begun, 2);
  });

  it("fails for all who share it, and is tried anew in the next turn", async () => {
    let attempts = 0;
    const ask = sharedInTurn(async (key: string) => {
      attempts += 1;
      if (attempts === 1) throw new Error("down");
      return key;
    });
    const outcomes = await Promise.allSettled([ask("a"), ask("a")]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["rejected", "rejected"],
    );
    assert.equal(attempts, 1);
    await turn();
    assert.equal(await ask("a"), "a");
    assert.equal(attempts, 2);
  });
});
