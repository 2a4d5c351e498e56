import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createLogWindow } from "#core/indexer/window.ts";
import { LockstepError } from "#core/kernel/errors.ts";

const saying = (words: string) => new LockstepError("chain-request-refused", `alpha refused eth_getLogs: ${words}`);
const silent = new LockstepError("chain-unreachable", "no answer");

describe("the window of requests for logs", () => {
  it("halves when too much was asked for or no answer came, and grows back after some calm answers", () => {
    const window = createLogWindow(2_000n);
    assert.equal(window.refused(2_000n, saying("query returned more than 10000 results")), true);
    assert.equal(window.width(), 1_000n);
    window.refused(1_000n, silent);
    assert.equal(window.width(), 500n);
    const widths = Array.from({ length: 9 }, () => {
      window.answered(window.width());
      return window.width();
    });
    assert.deepEqual(widths, [500n, 500n, 751n, 751n, 751n, 1127n, 1127n, 1127n, 1691n]);
    for (let times = 0; times < 3; times++) window.answered(1691n);
    assert.equal(window.width(), 2_000n);
  });

  it("is never narrower than a block, and does not grow on answers to short requests", () => {
    const window = createLogWindow(8n);
    for (let times = 0; times < 10; times++) window.refused(window.width(), silent);
    assert.equal(window.width(), 1n);
    assert.equal(window.refused(1n, silent), false);
    const other = createLogWindow(8n);
    other.refused(8n, silent);
    for (let times = 0; times < 10; times++) other.answered(1n);
    assert.equal(other.width(), 4n);
  });

  it("keeps to a limit that the node names, whatever its words", () => {
    for (const [words, limit] of [
      ["You can make eth_getLogs requests with up to a 500 block range.", 500n],
      ["eth_getLogs is limited to a 1,000 range", 1_000n],
      ["exceed maximum block range: 800", 800n],
      ["block range is too large, max is 1k blocks", 1_000n],
      ["ranges over 100 blocks are not supported on freetier", 100n],
      ["Max range: 800", 800n],
    ] as const) {
      const window = createLogWindow(2_000n);
      assert.equal(window.refused(2_000n, saying(words)), true, words);
      assert.equal(window.width(), limit, words);
      for (let times = 0; times < 20; times++) window.answered(window.width());
      assert.equal(window.width(), limit, `${words}: it does not grow past it`);
    }
  });

  it("takes the range that a node suggests for now", () => {
    const window = createLogWindow(2_000n);
    window.refused(2_000n, saying("query returned more than 10000 results. Try with this block range [0x10, 0x4f]."));
    assert.equal(window.width(), 64n);
    for (let times = 0; times < 3; times++) window.answered(64n);
    assert.equal(window.width(), 97n);
  });

  it("is not changed by what has nothing to do with width", () => {
    const window = createLogWindow(2_000n);
    for (const words of ["rate limit exceeded", "429 Too Many Requests", "exceeded its compute units per second"]) {
      assert.equal(window.refused(2_000n, saying(words)), false, words);
    }
    assert.equal(window.refused(2_000n, new Error("bug")), false);
    assert.equal(window.width(), 2_000n);
    // A limit that the request kept to is not what it was refused for.
    window.refused(2_000n, saying("max is 10000 blocks, and something else went wrong"));
    assert.equal(window.width(), 1_000n);
  });
});
