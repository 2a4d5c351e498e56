import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { firstBlockOfMost } from "#core/chain/firstBlock.ts";
import { createSameChain } from "#core/chain/sameChain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { createVirtualClock } from "#test/support/virtualClock.ts";

const known: Hex = `0x${"1".repeat(64)}`;
const other: Hex = `0x${"2".repeat(64)}`;

/** A chain that shows whatever it is told to, and what becomes of each look at it. */
function scene() {
  const clock = createVirtualClock(1_000_000);
  const sameChain = createSameChain({ clock });
  let shown = known;
  const chain = { name: "alpha", genesis: async () => shown };
  const look = async (block: Hex, afterMs = 0): Promise<string> => {
    shown = block;
    clock.advance(afterMs);
    try {
      await sameChain.assert(chain, known);
      return "same";
    } catch (error) {
      if (isLockstepError(error)) return error.code;
      throw error;
    }
  };
  const show = (block: Hex) => {
    shown = block;
  };
  return { clock, sameChain, chain, look, show };
}

describe("whether a chain is still the same", () => {
  it("is doubted at the first look at another first block, and decided only by many over a while", async () => {
    const { look, sameChain } = scene();
    assert.equal(await look(known), "same");
    for (let i = 0; i < 20; i++) assert.equal(await look(other), "chain-doubtful", "many looks at one moment");
    assert.throws(() => sameChain.refuseDoubted("alpha"), /nothing is signed/);
    assert.doesNotThrow(() => sameChain.refuseDoubted("beta"));
    assert.equal(await look(other, 14_999), "chain-doubtful");
    assert.equal(await look(other, 1), "chain-replaced");
  });

  it("is believed to have dropped a final block only after many looks in a row over a while", () => {
    const { clock, sameChain } = scene();
    const dropped = { number: 7n, known, found: other };
    const fork = (name: string, afterMs = 0) => {
      clock.advance(afterMs);
      sameChain.confirmFork(name, dropped);
    };
    const doubtful = { code: "chain-doubtful", message: /another block 7, which is final/ };
    for (let i = 0; i < 20; i++) assert.throws(() => fork("alpha"), doubtful);
    assert.throws(() => fork("alpha", 14_999), doubtful);
    assert.doesNotThrow(() => fork("alpha", 1));
    assert.throws(() => fork("beta"), doubtful);
    sameChain.noFork("alpha");
    assert.throws(() => fork("alpha", 60_000), doubtful);
    assert.doesNotThrow(() => sameChain.refuseDoubted("alpha"), "what was final may be acted on meanwhile");
  });

  it("is not decided by a few looks far apart", async () => {
    const { look } = scene();
    const answers = [];
    for (let i = 0; i < 5; i++) answers.push(await look(other, 60_000));
    assert.deepEqual(answers, [...Array(4).fill("chain-doubtful"), "chain-replaced"]);
  });

  it("stays in doubt until the known block was shown several times in a row, and a new doubt begins anew", async () => {
    const { look, sameChain } = scene();
    await look(other);
    assert.deepEqual([await look(known), await look(known)], ["chain-doubtful", "chain-doubtful"]);
    assert.equal(await look(other), "chain-doubtful");
    await look(known);
    await look(known);
    assert.ok(sameChain.isDoubted("alpha"));
    assert.equal(await look(known), "same");
    assert.ok(!sameChain.isDoubted("alpha"));
    for (let i = 0; i < 4; i++) assert.equal(await look(other, 5_000), "chain-doubtful");
  });

  it("never ends in a stop while the two take turns, however long", async () => {
    const { look } = scene();
    for (let i = 0; i < 500; i++) assert.equal(await look(i % 4 === 3 ? known : other, 5_000), "chain-doubtful");
  });

  it("is waited for by who starts: an endpoint that errs for a moment does no harm, a new chain is found out", async () => {
    const { clock, sameChain, chain, show } = scene();
    const wait = async (work: Promise<void>) => {
      const looks = { count: 0 };
      const done = work.then(
        () => "same",
        (error: unknown) => (isLockstepError(error) ? error.code : String(error)),
      );
      for (;;) {
        const answer = await Promise.race([done, clock.asleep(1)]);
        if (answer !== undefined) return { answer, ...looks };
        looks.count += 1;
        if (looks.count === 3 && isErring) show(known);
        clock.advance(1_000);
      }
    };
    let isErring = true;
    show(other);
    assert.equal((await wait(sameChain.decide(chain, known))).answer, "same");
    isErring = false;
    show(other);
    assert.deepEqual(await wait(sameChain.decide(chain, known)), { answer: "chain-replaced", count: 15 });
  });
});

describe("the first block of most endpoints", () => {
  type Shown = Hex | "down" | "none";
  const ask = (...shown: Shown[]) =>
    firstBlockOfMost("alpha", {
      askAll: () =>
        shown.map(async (each) => {
          if (each === "down") throw new Error("down");
          const block = { number: 0n, hash: each, parentHash: known, timestamp: 0n };
          return { value: (each === "none" ? undefined : block) as never };
        }),
    });

  it("is not that of one that lies, nor of one that is alone while others are down", async () => {
    assert.equal(await ask(other, known, known), known);
    assert.equal(await ask(other, other, known), other);
    for (const shown of [
      [other, known],
      [other, "down"],
      [other, "none", "down"],
    ] as Shown[][]) {
      await assert.rejects(ask(...shown), (error) => isLockstepError(error, "chain-no-agreement"));
    }
  });
});
