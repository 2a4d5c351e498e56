import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import fc from "fast-check";
import { attemptsOf, nextAttempt, waitMs } from "#relay/ramp.ts";
import { type ReasonCode, reasonTable } from "#relay/reasons.ts";

const codes = Object.keys(reasonTable) as ReasonCode[];

describe("reasons", () => {
  it("are the same in the table and in docs/reasons.md", () => {
    const text = readFileSync(new URL("../../docs/reasons.md", import.meta.url), "utf8");
    const rows = [...text.matchAll(/^\| `([a-z-]+)` \| (.+) \|$/gm)].map(([, code, words]) => [code, words]);
    assert.deepEqual(rows, Object.entries(reasonTable));
  });
});

describe("ramps", () => {
  it("wait without end for validators, endpoints, pauses, buckets and prices", () => {
    const endless = ["awaiting-quorum", "endpoint-down", "destination-paused", "bucket-empty", "unprofitable"] as const;
    for (const code of [...endless, "gas-price-too-high", "validator-set-mismatch", "deferring"] as const) {
      assert.equal(attemptsOf(code), undefined);
      assert.equal(waitMs(code, 10_000), waitMs(code, 10_001));
      assert.notEqual(nextAttempt(code, 10_000), "dead");
    }
  });

  it("give up what fails after as many attempts as they say, about a day later", () => {
    for (const code of ["dry-run-reverts", "intent-reverted", "retry-reverts"] as const) {
      const attempts = attemptsOf(code) ?? 0;
      const delays = Array.from({ length: attempts - 1 }, (_, n) => nextAttempt(code, n + 1));
      assert.ok(!delays.includes("dead"));
      assert.equal(nextAttempt(code, attempts), "dead");
      const total = delays.reduce((sum, next) => sum + (next === "dead" ? 0 : next.delayMs), 0);
      assert.ok(total > 24 * 3_600_000 && total < 30 * 3_600_000, `${total}`);
    }
  });

  it("never get shorter, but for the jitter of the tail", () => {
    fc.assert(
      fc.property(fc.constantFrom(...codes), fc.integer({ min: 1, max: 60 }), (code, misses) => {
        const [now, later] = [nextAttempt(code, misses), nextAttempt(code, misses + 1)];
        if (now === "dead") return assert.equal(later, "dead");
        if (later !== "dead") assert.ok(later.delayMs >= now.delayMs);
      }),
    );
    const quick = [0, 1].map((random) => nextAttempt("retry-reverts", 2, random));
    const seldom = [0, 1].map((random) => nextAttempt("retry-reverts", 30, random));
    assert.deepEqual(quick[0], quick[1]);
    assert.notDeepEqual(seldom[0], seldom[1]);
  });
});
