import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isLockstepError } from "#core/kernel/errors.ts";
import type { LegName, SwapEvent } from "#swap/events.ts";
import { requireClaimable, requireRefundable } from "#swap/requests.ts";
import { hasEnded } from "#swap/status.ts";
import { foldSwap } from "#swap/swap.ts";
import { viewOf } from "#swap/view.ts";
import {
  claimed,
  claimFinal,
  detected,
  failed,
  givenUp,
  locked,
  refunded,
  refundFinal,
  requestedBy,
  revealStarted,
  started,
  stored,
} from "./samples.ts";

const timing = { finality: 10n, inclusion: 20n, skew: 5n };
const T1 = 2_000n;
const T2 = 1_000n;

type Answers = { readonly claim: string; readonly refund: string };

/** What a swap with these events answers to both requests at a time, and whether anything can happen to it yet. */
function ask(now: bigint, events: readonly SwapEvent[]): Answers {
  const view = viewOf(stored(...events), () => ({ source: timing, target: timing, reaction: 10n }), now);
  assert.ok(view);
  const codeOf = (work: () => void) => {
    try {
      work();
      return "taken";
    } catch (error) {
      if (isLockstepError(error)) return error.code;
      throw error;
    }
  };
  return { claim: codeOf(() => requireClaimable(view)), refund: codeOf(() => requireRefundable(view, now)) };
}

const both = [...lockOf("source"), ...lockOf("target")];
function lockOf(leg: LegName): SwapEvent[] {
  return [detected(leg), locked(leg)];
}

describe("asking for a claim or a refund of a swap", () => {
  const external = requestedBy("initiator", "counterparty");

  const cases: [string, bigint, SwapEvent[], Answers][] = [
    ["nothing locked", 500n, [], { claim: "swap-not-claimable", refund: "swap-not-refundable" }],
    ["one leg locked", 500n, lockOf("source"), { claim: "swap-not-claimable", refund: "swap-not-refundable" }],
    ["both legs locked", 500n, both, { claim: "taken", refund: "swap-not-refundable" }],
    ["past the target timelock", T2, both, { claim: "swap-not-claimable", refund: "taken" }],
    ["a second before it", T2 - 1n, both, { claim: "taken", refund: "swap-not-refundable" }],
    ["a claim that is read late", T2, [...both, claimed("target")], { claim: "taken", refund: "swap-not-refundable" }],
    [
      "both claimed",
      500n,
      [...both, claimed("target"), claimed("source")],
      { claim: "swap-over", refund: "swap-over" },
    ],
    ["the target refunded", T2, [...both, refunded("target")], { claim: "swap-over", refund: "swap-not-refundable" }],
    ["the source left", T1, [...both, refunded("target")], { claim: "swap-over", refund: "taken" }],
    ["given up before a lock", 500n, [givenUp], { claim: "swap-over", refund: "swap-over" }],
  ];
  for (const [what, now, events, expected] of cases) {
    it(`is answered with ${expected.claim} and ${expected.refund}: ${what}`, () => {
      assert.deepEqual(ask(now, [external, ...events]), expected);
    });
  }

  it("is never over and possible later, in whatever order two chains are read, reorganisations apart", () => {
    // Each chain's own news keep their order; a leg ends by one of two ways, or not at all.
    const legNews = (leg: LegName) =>
      fc.constantFrom(
        [],
        lockOf(leg),
        [...lockOf(leg), claimed(leg), claimFinal(leg)],
        [...lockOf(leg), refunded(leg), refundFinal(leg)],
        // An endpoint had hidden the lock.
        [claimed(leg), detected(leg), claimFinal(leg)],
      );
    const own = fc.subarray<SwapEvent>([
      started("lock-source"),
      started("lock-target"),
      failed("lock-target", 600n),
      revealStarted,
      givenUp,
    ]);
    const passing = fc.record({ lane: fc.nat(2), seconds: fc.constantFrom(0n, 1n, 300n, 700n) });
    fc.assert(
      fc.property(
        fc.constantFrom(external, requestedBy(), requestedBy("initiator"), requestedBy("counterparty")),
        fc.tuple(legNews("source"), legNews("target"), own),
        fc.array(passing, { minLength: 4, maxLength: 24 }),
        (first, lanes, order) => {
          const left = lanes.map((lane) => [...lane]);
          const events = [first];
          let now = 500n;
          const over = { claim: false, refund: false };
          for (const { lane, seconds } of order) {
            now += seconds;
            const swap = foldSwap(stored(...events));
            const next = swap && !hasEnded(swap) ? left[lane]?.shift() : undefined;
            if (next) events.push(next);
            const answers = ask(now, events);
            for (const what of ["claim", "refund"] as const) {
              if (over[what]) assert.equal(answers[what], "swap-over", `${what} at ${now}`);
              over[what] ||= answers[what] === "swap-over";
            }
          }
        },
      ),
      { numRuns: 3_000 },
    );
  });
});
