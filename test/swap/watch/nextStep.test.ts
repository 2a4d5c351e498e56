import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { StoredEvent } from "#core/events/store.ts";
import type { WatchEvent, WatchStep } from "#swap/watch/events.ts";
import { nextStep, retrySeconds, type Sight, type WatchTimes } from "#swap/watch/nextStep.ts";
import { foldWatch } from "#swap/watch/watch.ts";
import { hexOf } from "#test/swap/samples.ts";

/** Timelock 1,000; the chain's time is within 5 s of true time. */
const times: WatchTimes = { timelock: 1_000n, claimUntil: 1_005n, goneFrom: 1_035n };

const watched = (changes: { account?: string; refunds?: boolean } = {}): WatchEvent => ({
  type: "LockWatched",
  data: {
    ...{ chain: "alpha", chainId: 1, timelockContract: hexOf("c", 20), lockId: hexOf("1"), lock: { kind: "payment" } },
    ...{ sender: hexOf("a", 20), recipient: hexOf("b", 20), token: hexOf("0", 20), amount: 5n },
    ...{ hashlock: hexOf("e"), timelock: 1_000n, tip: 0n, refunds: true, ...changes },
  },
});
const started = (step: WatchStep, attempt = 1): WatchEvent => ({
  type: "WatchStepStarted",
  data: { step, attempt, intentId: `watch-1-${step}-${attempt}` },
});
const failed = (step: WatchStep, retryAt: bigint, attempt = 1, code = "intent-reverts"): WatchEvent => ({
  type: "WatchStepFailed",
  data: { step, attempt, code, detail: "no", retryAt },
});
const ended: WatchEvent = { type: "WatchEnded", data: { outcome: "claimed" } };
const reopened: WatchEvent = { type: "WatchReopened", data: { ancestor: 9n } };

const open: Sight = { lock: { state: "open" }, secretPublic: false };
const openAndPublic: Sight = { lock: { state: "open" }, secretPublic: true };
const endedAs = (kind: "claimed" | "refunded", final: boolean): Sight => ({
  lock: { state: "ended", kind, final },
  secretPublic: kind === "claimed",
});

const fold = (...events: WatchEvent[]) => {
  const stored = events.map(
    (event, i): StoredEvent<WatchEvent> => ({
      ...event,
      ...{ position: BigInt(i + 1), stream: "watch-1", version: i + 1, at: new Date(500_000) },
    }),
  );
  const watch = foldWatch(stored);
  assert.ok(watch);
  return watch;
};
const given = (...events: WatchEvent[]) => ({
  when: (sight: Sight, now: bigint) => nextStep(fold(...events), sight, times, now),
});
const step = (name: WatchStep, attempt = 1) => ({ kind: "step", step: name, attempt });
const wait = (code: string, until: bigint) => ({ kind: "wait", code, until });

describe("the next step for a watched lock", () => {
  it("is to wait for the timelock while the secret is unknown", () => {
    assert.deepEqual(given(watched()).when(open, 999n), wait("awaiting-timelock", 1_000n));
  });

  it("is the refund from the timelock's very second on", () => {
    assert.deepEqual(given(watched()).when(open, 1_000n), step("refund"));
  });

  it("is the claim as soon as the secret is public, until the chain cannot be before the timelock any more", () => {
    for (const now of [0n, 999n, 1_000n, 1_004n])
      assert.deepEqual(given(watched()).when(openAndPublic, now), step("claim"));
    assert.deepEqual(given(watched()).when(openAndPublic, 1_005n), step("refund"));
  });

  it("is nothing new while a transaction is on its way", () => {
    assert.deepEqual(given(watched(), started("claim")).when(openAndPublic, 10n), wait("step-in-progress", 12n));
    assert.deepEqual(given(watched(), started("claim")).when(openAndPublic, 2_000n), wait("step-in-progress", 2_002n));
  });

  it("is the next attempt once a failed one may be tried again", () => {
    const watch = given(watched(), started("claim"), failed("claim", 20n));
    assert.deepEqual(watch.when(openAndPublic, 19n), wait("step-retry", 20n));
    assert.deepEqual(watch.when(openAndPublic, 20n), step("claim", 2));
  });

  it("is the refund at once when a claim is to be tried again only after its window", () => {
    const watch = given(watched(), started("claim"), failed("claim", 5_000n));
    assert.deepEqual(watch.when(openAndPublic, 1_005n), step("refund"));
  });

  it("is to wait until an end is final, and then to end as it ended", () => {
    const watch = given(watched(), started("claim"));
    assert.deepEqual(watch.when(endedAs("claimed", false), 10n), wait("awaiting-finality", 12n));
    assert.deepEqual(watch.when(endedAs("claimed", true), 10n), { kind: "end", outcome: "claimed" });
    assert.deepEqual(watch.when(endedAs("refunded", true), 10n), { kind: "end", outcome: "refunded" });
    assert.deepEqual(given(watched(), ended).when(endedAs("claimed", true), 10n), { kind: "ended" });
  });

  it("waits for a lock that was reorganised out until it cannot come back", () => {
    const absent: Sight = { lock: { state: "absent" }, secretPublic: true };
    assert.deepEqual(given(watched()).when(absent, 1_034n), wait("reorganised-out", 1_035n));
    assert.deepEqual(given(watched()).when(absent, 1_035n), { kind: "end", outcome: "gone" });
  });

  it("goes on after a reorganisation took back what it ended with, with new numbers of attempts", () => {
    const watch = given(
      watched(),
      started("claim"),
      failed("claim", 3n),
      started("claim", 2),
      failed("claim", 4n, 2),
      ended,
      reopened,
    );
    assert.deepEqual(watch.when(openAndPublic, 10n), step("claim", 3));
  });

  it("goes on numbering when the same terms are watched again", () => {
    const watch = given(watched(), started("claim"), failed("claim", 3n), ended, watched());
    assert.deepEqual(watch.when(openAndPublic, 10n), step("claim", 2));
  });

  it("leaves a stranger's refund to the stranger where only the claim is ours", () => {
    const mine = given(watched({ account: "bob", refunds: false }));
    assert.deepEqual(mine.when(openAndPublic, 999n), step("claim"));
    assert.deepEqual(mine.when(open, 1_004n), wait("awaiting-timelock", 1_005n));
    assert.deepEqual(mine.when(open, 1_005n), { kind: "end", outcome: "missed" });
  });

  it("gives up a stranger's lock whose transactions revert when they are mined, and never an own one", () => {
    const reverts = (events: WatchEvent[]) =>
      given(...events, ...[1, 2, 3].flatMap((n) => [started("claim", n), failed("claim", 2n, n, "intent-reverted")]));
    assert.deepEqual(reverts([watched()]).when(openAndPublic, 10n), { kind: "end", outcome: "failed" });
    assert.deepEqual(reverts([watched({ account: "bob" })]).when(openAndPublic, 10n), step("claim", 4));
  });

  it("gives up a stranger's lock after many failures, until somebody asks again", () => {
    const tries = Array.from({ length: 40 }, (_, i) => [started("refund", i + 1), failed("refund", 2n, i + 1)]).flat();
    assert.deepEqual(given(watched(), ...tries).when(open, 2_000n), { kind: "end", outcome: "failed" });
    assert.deepEqual(given(watched(), ...tries.slice(2)).when(open, 2_000n), step("refund", 41));
    assert.deepEqual(given(watched(), ...tries, watched()).when(open, 2_000n), step("refund", 41));
  });

  it("waits no longer than there are dates", () => {
    const forever = { timelock: 2n ** 64n - 1n, claimUntil: 2n ** 64n, goneFrom: 2n ** 64n };
    const action = nextStep(fold(watched()), open, forever, 0n);
    assert.ok(action.kind === "wait" && !Number.isNaN(new Date(Number(action.until) * 1000).getTime()));
  });
});

/** Every second around the timelock, with every combination of what may be known. */
describe("at the timelock's edge, whatever is known", () => {
  const sights: Sight[] = [open, openAndPublic];
  const histories = [
    [watched()],
    [watched(), started("claim"), failed("claim", 1n)],
    [watched(), started("refund"), failed("refund", 1n)],
    [watched({ account: "a", refunds: false })],
    [watched({ account: "a" })],
  ];
  const cases = histories.flatMap((history) =>
    sights.flatMap((sight) => Array.from({ length: 60 }, (_, i) => ({ history, sight, now: 975n + BigInt(i) }))),
  );

  it("a refund is never chosen before it, nor a claim once it has surely passed, nor one without the secret", () => {
    for (const { history, sight, now } of cases) {
      const action = given(...history).when(sight, now);
      if (action.kind !== "step") continue;
      if (action.step === "refund") assert.ok(now >= times.timelock);
      else assert.ok(now < times.claimUntil && sight.secretPublic);
    }
  });

  it("an open lock is always worked at, waited for until something changes, or left with a reason", () => {
    for (const { history, sight, now } of cases) {
      const action = given(...history).when(sight, now);
      if (action.kind === "wait") assert.ok(action.until > now);
      if (action.kind === "end") assert.ok(action.outcome === "missed" && now >= times.claimUntil);
      assert.notEqual(action.kind, "ended");
    }
  });

  it("a failed claim is tried again several times before its window closes, and ever more rarely", () => {
    for (let now = 0n; now < 1_005n; now += 5n) {
      const delay = retrySeconds("claim", 30, times, now);
      assert.ok(delay >= 1n && (delay === 1n || now + 2n * delay < times.claimUntil), `${now} + ${delay}`);
    }
    assert.deepEqual(
      [1, 2, 5].map((n) => retrySeconds("refund", n, times, 2_000n)),
      [1n, 2n, 16n],
    );
    assert.equal(retrySeconds("refund", 1_000, times, 2_000n), 3_600n);
  });
});
