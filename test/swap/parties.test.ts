import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { mayAgree } from "#swap/earlyRefund.ts";
import type { LegName, StepName, SwapEvent } from "#swap/events.ts";
import { nextAction } from "#swap/nextAction.ts";
import { hasEnded } from "#swap/status.ts";
import { foldSwap, type Swap } from "#swap/swap.ts";
import {
  agreed,
  claimed,
  claimFinal,
  detected,
  failed,
  givenUp,
  locked,
  refunded,
  refundFinal,
  reorged,
  requestedBy,
  revealStarted,
  secretReceived,
  signed,
  started,
  stored,
} from "#test/swap/samples.ts";

const deadlines = { sourceLockBy: 600n, counterLockBy: 700n, revealBy: 800n, sourceClaimUntil: 2_005n };
const legNames: readonly LegName[] = ["source", "target"];

function swapAfter(...events: SwapEvent[]): Swap {
  const swap = foldSwap(stored(...events));
  assert.ok(swap);
  return swap;
}

function next(now: bigint, ...events: SwapEvent[]): string {
  const action = nextAction(swapAfter(...events), deadlines, now);
  if (action.kind === "step") return action.step;
  if (action.kind === "agree") return `agree ${action.leg}`;
  return action.kind === "wait" ? `${action.code}${action.step ? ` ${action.step} ${action.until}` : ""}` : action.kind;
}

const lockOf = (leg: LegName): SwapEvent[] => [detected(leg), locked(leg)];
const both = [...lockOf("source"), started("lock-target"), ...lockOf("target")];

describe("a swap with an external initiator", () => {
  const requested = requestedBy("initiator");

  it("waits for its lock until the deadline, to the second", () => {
    assert.equal(next(500n, requested), "awaiting-initiator lock-source 601");
    assert.equal(next(600n, requested), "awaiting-initiator lock-source 601");
    assert.equal(next(601n, requested), "lock-may-come", "it may have been sent in time");
    assert.equal(next(700n, requested), "lock-may-come");
    assert.equal(next(701n, requested), "giveUp");
    assert.equal(next(650n, requested, ...lockOf("source")), "lock-target");
  });

  it("sends the lock that it signed, while the signature is good", () => {
    assert.equal(next(500n, requested, signed("source", "lock", 550n)), "lock-source");
    assert.equal(next(550n, requested, signed("source", "permit2", 550n)), "lock-source");
    assert.equal(next(551n, requested, signed("source", "lock", 550n)), "awaiting-initiator lock-source 601");
    assert.equal(next(500n, requested, signed("source", "permit", 550n)), "awaiting-initiator lock-source 601");
  });

  it("locks against it as against a managed one", () => {
    assert.equal(next(500n, requested, ...lockOf("source")), "lock-target");
    assert.equal(next(701n, requested, ...lockOf("source")), "giveUp");
  });

  it("never shows a secret that it does not have, and waits for the initiator's claim until the timelock", () => {
    assert.equal(next(800n, requested, ...both), "awaiting-initiator claim-target 801");
    assert.equal(next(801n, requested, ...both), "awaiting-timelock", "it is told to claim only while that is safe");
    assert.equal(next(1_000n, requested, ...both), "refund-target");
  });

  it("claims for it with the secret that it handed in, under the same deadline", () => {
    assert.equal(next(800n, requested, ...both, secretReceived), "claim-target");
    assert.equal(next(801n, requested, ...both, secretReceived), "giveUp");
  });

  it("claims the source leg when the secret is out, also when the claim that showed it is reorganised out", () => {
    const shown = [requested, ...both, claimed("target")];
    assert.equal(next(999n, ...shown), "claim-source");
    assert.equal(next(999n, ...shown, reorged("target", "claim"), started("claim-source")), "claim-target");
    assert.equal(
      next(999n, ...shown, reorged("target", "claim"), started("claim-source"), claimed("source")),
      "claim-target",
    );
  });

  it("gives a lock back that came too late", () => {
    assert.ok(hasEnded(swapAfter(requested, givenUp)));
    assert.equal(next(650n, requested, givenUp, detected("source")), "awaiting-timelock");
    assert.equal(next(650n, requested, givenUp, ...lockOf("source")), "agree source");
    assert.equal(next(650n, requested, givenUp, ...lockOf("source"), agreed("source")), "refund-early-source");
  });
});

describe("a swap with an external counterparty", () => {
  const requested = requestedBy("counterparty");

  it("locks first and waits for the counter-lock until its deadline", () => {
    assert.equal(next(500n, requested), "lock-source");
    assert.equal(next(500n, requested, ...lockOf("source")), "awaiting-counterparty lock-target 701");
    assert.equal(next(800n, requested, ...lockOf("source")), "lock-may-come");
    assert.equal(next(801n, requested, ...lockOf("source")), "giveUp");
    assert.equal(next(801n, requested, ...lockOf("source"), givenUp), "awaiting-timelock");
  });

  it("claims, and then claims for the counterparty too", () => {
    assert.equal(next(500n, requested, ...both), "claim-target");
    assert.equal(next(500n, requested, ...both, revealStarted, claimed("target")), "claim-source");
  });

  it("is refunded at once when the counterparty signs that", () => {
    const refused = [requested, ...lockOf("source"), signed("source", "early-refund", 2_000n)];
    assert.equal(next(500n, ...refused), "refund-early-source");
    assert.equal(next(500n, ...refused, revealStarted, ...lockOf("target")), "claim-target");
  });
});

describe("a swap of two external parties", () => {
  const requested = requestedBy("initiator", "counterparty");

  it("is watched, and every step is waited for", () => {
    assert.equal(next(500n, requested), "awaiting-initiator lock-source 601");
    assert.equal(next(500n, requested, ...lockOf("source")), "awaiting-counterparty lock-target 701");
    assert.equal(next(500n, requested, ...both), "awaiting-initiator claim-target 801");
    assert.equal(next(500n, requested, ...both, claimed("target")), "awaiting-counterparty claim-source 2000");
    assert.match(next(1_000n, requested, ...both), /^awaiting-counterparty refund-target/);
    const ended = [claimed("target"), claimed("source"), claimFinal("target"), claimFinal("source")];
    assert.equal(next(500n, requested, ...both, ...ended), "ended");
  });
});

describe("a recipient's consent to an early refund", () => {
  const starts: StepName[] = ["lock-source", "lock-target", "claim-target", "claim-source"];
  const any = fc.constantFrom<SwapEvent>(
    ...legNames.flatMap((leg) => [
      ...[detected(leg), locked(leg), claimed(leg), claimFinal(leg), refunded(leg), refundFinal(leg)],
      ...[reorged(leg, "lock"), reorged(leg, "refund"), agreed(leg)],
    ]),
    ...starts.map((step) => started(step)),
    ...[failed("lock-target", 510n), failed("claim-target", 510n), revealStarted, givenUp, secretReceived],
  );
  const history = fc.array(any, { maxLength: 16 });
  const parties = fc.constantFrom(requestedBy(), requestedBy("initiator"), requestedBy("counterparty"));

  it("is never given by who could lose by it", () => {
    fc.assert(
      fc.property(parties, history, (requested, events) => {
        const swap = swapAfter(requested, ...events);
        const { source, target } = swap.legs;
        if (mayAgree(swap, "source")) {
          assert.ok(!source.end && !swap.publicSecret && !swap.revealStarted);
          const back = target.end?.kind === "refunded" && target.endFinal;
          assert.ok(back || (swap.givenUp && !target.lock && swap.steps["lock-target"]?.state !== "started"));
        }
        if (mayAgree(swap, "target")) {
          assert.ok(swap.givenUp && !swap.revealStarted && !swap.publicSecret);
          assert.notEqual(swap.steps["claim-target"]?.state, "started");
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("keeps the target leg from being locked or claimed from then on", () => {
    fc.assert(
      fc.property(parties, history, history, fc.bigInt({ min: 400n, max: 2_200n }), (requested, before, after, now) => {
        const swap = swapAfter(requested, ...before, givenUp);
        const leg = legNames.find((each) => mayAgree(swap, each));
        if (!leg) return;
        const quiet = after.filter(({ type }) => !["RevealStarted", "LegClaimed", "StepStarted"].includes(type));
        const action = nextAction(swapAfter(requested, ...before, givenUp, agreed(leg), ...quiet), deadlines, now);
        assert.ok(action.kind !== "step" || (action.step !== "lock-target" && action.step !== "claim-target"));
      }),
      { numRuns: 2_000 },
    );
  });
});
