import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Deadlines } from "#swap/deadlines.ts";
import type { SwapEvent } from "#swap/events.ts";
import { nextAction } from "#swap/nextAction.ts";
import { statusOf } from "#swap/status.ts";
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
  requested,
  requestedBy,
  restored,
  revealStarted,
  revealWithdrawn,
  signed,
  started,
  stored,
} from "#test/swap/samples.ts";

const deadlines: Deadlines = { sourceLockBy: 600n, counterLockBy: 700n, revealBy: 800n, sourceClaimUntil: 2_005n };
const sourceLocked = [requested, started("lock-source"), detected("source"), locked("source")];
const bothLocked = [...sourceLocked, started("lock-target"), detected("target"), locked("target")];
const targetClaimed = [...bothLocked, started("claim-target"), revealStarted, claimed("target")];

function swapAfter(...events: SwapEvent[]): Swap {
  const swap = foldSwap(stored(...events));
  assert.ok(swap);
  return swap;
}

function next(now: bigint, ...events: SwapEvent[]): string {
  const action = nextAction(swapAfter(...events), deadlines, now);
  return action.kind === "step"
    ? `${action.step} ${action.attempt}`
    : action.kind === "wait"
      ? action.code
      : action.kind;
}

const status = (now: bigint, ...events: SwapEvent[]) => statusOf(swapAfter(...events), now);

describe("the next action of a swap", () => {
  it("after a restore locks nothing that may have been locked, and closes what is open", () => {
    assert.equal(next(500n, requested, restored), "giveUp");
    assert.equal(next(500n, requested, started("lock-source"), restored), "step-in-progress");
    assert.equal(next(500n, requested, started("lock-source"), restored, failed("lock-source", 400n)), "giveUp");
    assert.equal(next(500n, ...sourceLocked, restored), "giveUp");
    assert.equal(next(500n, ...sourceLocked, restored, givenUp), "awaiting-timelock");
    assert.equal(next(500n, ...sourceLocked, givenUp), "agree");
    assert.equal(next(2_000n, ...sourceLocked, restored, givenUp), "refund-source 1");
    assert.equal(next(500n, ...bothLocked, restored), "claim-target 1");
    assert.equal(next(500n, ...bothLocked, restored, givenUp), "awaiting-timelock");
    assert.equal(next(500n, ...targetClaimed, restored), "claim-source 1");
  });

  it("waits, after a restore, for the lock of an external party, unless that has signed it for us", () => {
    const initiated = [requestedBy("initiator"), restored];
    assert.equal(next(500n, ...initiated), "awaiting-initiator");
    assert.equal(next(500n, ...initiated, signed("source", "permit", 600n)), "awaiting-initiator");
    for (const kind of ["lock", "permit2"] as const)
      assert.equal(next(500n, ...initiated, signed("source", kind, 600n)), "giveUp", kind);
    const lockedByOther = [detected("source"), locked("source")];
    assert.equal(next(500n, ...initiated, ...lockedByOther), "giveUp", "the other lock is ours");
    const answered = [requestedBy("counterparty"), ...lockedByOther, restored];
    assert.equal(next(500n, ...answered), "awaiting-counterparty");
    assert.equal(next(500n, ...answered, signed("target", "lock", 600n)), "giveUp");
  });

  it("follows the honest schedule from request to completion", () => {
    assert.equal(next(500n, requested), "lock-source 1");
    assert.equal(next(500n, requested, started("lock-source")), "step-in-progress");
    assert.equal(next(500n, requested, started("lock-source"), detected("source")), "awaiting-finality");
    assert.equal(next(500n, ...sourceLocked), "lock-target 1");
    assert.equal(next(500n, ...bothLocked), "claim-target 1");
    assert.equal(next(500n, ...targetClaimed), "claim-source 1");
    const claims = [...targetClaimed, started("claim-source"), claimed("source")];
    assert.equal(next(500n, ...claims), "awaiting-finality");
    assert.equal(next(500n, ...claims, claimFinal("target"), claimFinal("source")), "ended");
  });

  it("takes no step after its deadline, to the second", () => {
    assert.equal(next(600n, requested), "lock-source 1");
    assert.equal(next(601n, requested), "giveUp");
    assert.equal(next(700n, ...sourceLocked), "lock-target 1");
    assert.equal(next(701n, ...sourceLocked), "giveUp");
    assert.equal(next(800n, ...bothLocked), "claim-target 1");
    assert.equal(next(801n, ...bothLocked), "giveUp");
  });

  it("waits for the intent of a step that is on its way, whatever the deadline", () => {
    assert.equal(next(701n, ...sourceLocked, started("lock-target")), "step-in-progress");
  });

  it("tries a failed step again after its delay and gives up at the deadline", () => {
    const frozen = [...sourceLocked, started("lock-target"), failed("lock-target", 510n)];
    assert.equal(next(509n, ...frozen), "step-retry");
    assert.equal(next(510n, ...frozen), "lock-target 2");
    assert.equal(next(701n, ...frozen), "giveUp");
    assert.equal(next(701n, ...frozen, givenUp), "agree");
  });

  it("drives the claim after the reveal at any hour until the refund window opens", () => {
    const revealed = [...bothLocked, started("claim-target"), revealStarted, failed("claim-target", 510n)];
    assert.equal(next(999n, ...revealed), "claim-target 2");
    assert.equal(next(1_000n, ...revealed), "refund-target 1");
  });

  it("counts deadlines again when the claim was voided before a byte of it left", () => {
    const withdrawn = [
      ...bothLocked,
      started("claim-target"),
      revealStarted,
      failed("claim-target", 510n),
      revealWithdrawn,
    ];
    assert.equal(next(800n, ...withdrawn), "claim-target 2");
    assert.equal(next(801n, ...withdrawn), "giveUp");
  });

  it("refunds each leg from its own timelock on, and not a second earlier", () => {
    const abandoned = [...bothLocked, givenUp, agreed("target"), started("refund-early-target")];
    assert.equal(next(999n, ...abandoned), "step-in-progress");
    assert.equal(next(1_000n, ...abandoned), "refund-target 1");
    const back = [...abandoned, started("refund-target"), refunded("target"), refundFinal("target")];
    const targetBack = [...back, agreed("source"), started("refund-early-source")];
    assert.equal(next(1_999n, ...targetBack), "step-in-progress");
    assert.equal(next(2_000n, ...targetBack), "refund-source 1");
    assert.equal(
      next(2_000n, ...targetBack, started("refund-source"), refunded("source"), refundFinal("source")),
      "ended",
    );
  });

  it("claims the source leg with the published secret before anything else", () => {
    assert.equal(next(1_500n, ...targetClaimed), "claim-source 1");
    assert.equal(next(2_004n, ...targetClaimed, givenUp), "claim-source 1", "its chain may lag by the bound");
    assert.equal(next(2_005n, ...targetClaimed), "refund-source 1");
  });

  it("goes back when a reorganisation takes away what a step rested on", () => {
    assert.equal(
      next(500n, requested, started("lock-source"), detected("source"), reorged("source", "lock")),
      "step-in-progress",
    );
    const reclaimed = [...targetClaimed, reorged("target", "claim")];
    assert.equal(next(500n, ...reclaimed), "claim-source 1", "the secret stays public");
    assert.equal(next(500n, ...reclaimed, started("claim-source")), "step-in-progress");
    const reverted = [...reclaimed, started("claim-source"), failed("claim-target", 510n)];
    assert.equal(
      next(510n, ...reverted),
      "claim-target 2",
      "the source chain keeps nothing of the target chain waiting",
    );
    assert.equal(next(1_000n, ...reverted), "refund-target 1");
  });

  it("ends a swap that was never locked, and one whose source leg alone was refunded", () => {
    assert.equal(next(601n, requested, givenUp), "ended");
    assert.equal(next(2_100n, ...sourceLocked, refunded("source"), refundFinal("source")), "ended");
  });
});

describe("the status of a swap", () => {
  it("is what the legs show", () => {
    assert.equal(status(500n, requested), "requested");
    assert.equal(status(500n, ...sourceLocked), "sourceLocked");
    assert.equal(status(500n, ...bothLocked), "targetLocked");
    assert.equal(status(500n, ...bothLocked, revealStarted), "revealed");
    assert.equal(status(500n, ...targetClaimed, claimed("source"), claimFinal("target")), "revealed");
    assert.equal(
      status(500n, ...targetClaimed, claimed("source"), claimFinal("target"), claimFinal("source")),
      "completed",
    );
    assert.equal(status(500n, requested, givenUp), "failed");
    assert.equal(status(1_000n, ...bothLocked), "refunding");
    assert.equal(status(500n, ...sourceLocked, givenUp), "refunding");
  });

  it("names one-sided ends after who lost", () => {
    const lost = [...targetClaimed, claimFinal("target"), refunded("source"), refundFinal("source")];
    assert.equal(status(2_100n, ...lost), "counterpartyLost");
    const other = [...bothLocked, refunded("target"), refundFinal("target"), claimed("source"), claimFinal("source")];
    assert.equal(status(2_100n, ...other), "initiatorLost");
  });
});

describe("in any history the next action", () => {
  const any = fc.constantFrom<SwapEvent>(
    ...(["source", "target"] as const).flatMap((leg) => [
      detected(leg),
      locked(leg),
      claimed(leg),
      claimFinal(leg),
      refunded(leg),
    ]),
    ...(["source", "target"] as const).flatMap((leg) => [
      refundFinal(leg),
      reorged(leg, "lock"),
      reorged(leg, "claim"),
    ]),
    ...[started("lock-source"), started("lock-target"), started("claim-target"), started("claim-source")],
    ...[failed("lock-target", 510n), failed("claim-target", 510n), revealStarted, revealWithdrawn, givenUp],
    ...[agreed("source"), agreed("target"), started("refund-early-target")],
  );
  const history = fc.array(any, { maxLength: 14 });
  const time = fc.bigInt({ min: 400n, max: 2_200n });

  it("never claims the target leg anew after the reveal deadline, or without both locks final", () => {
    fc.assert(
      fc.property(history, time, (events, now) => {
        const swap = swapAfter(requested, ...events);
        const action = nextAction(swap, deadlines, now);
        if (action.kind !== "step" || action.step !== "claim-target" || swap.revealStarted || swap.publicSecret) return;
        assert.ok(now <= deadlines.revealBy);
        assert.ok(
          swap.legs.source.lockFinal && !swap.legs.source.end && swap.legs.target.lockFinal && !swap.legs.target.end,
        );
      }),
    );
  });

  it("never locks the target leg without a final, open source lock in time", () => {
    fc.assert(
      fc.property(history, time, (events, now) => {
        const swap = swapAfter(requested, ...events);
        const action = nextAction(swap, deadlines, now);
        if (action.kind !== "step" || action.step !== "lock-target") return;
        assert.ok(
          now <= deadlines.counterLockBy && swap.legs.source.lockFinal && !swap.legs.source.end && !swap.givenUp,
        );
      }),
    );
  });

  it("never refunds before the leg's timelock, and claims the source leg only with a secret the chain has shown", () => {
    fc.assert(
      fc.property(history, time, (events, now) => {
        const swap = swapAfter(requested, ...events);
        const action = nextAction(swap, deadlines, now);
        if (action.kind !== "step") return;
        if (action.step === "refund-target") assert.ok(now >= 1_000n);
        if (action.step === "refund-source") assert.ok(now >= 2_000n);
        if (action.step === "claim-source") assert.ok(swap.publicSecret && now < 2_005n);
      }),
    );
  });
});
