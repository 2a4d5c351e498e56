import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { MessageEvent } from "#relay/events.ts";
import { evolveProgress, hasEnded, type Progress, statusOf } from "#relay/progress.ts";
import { fromColumns, type MessageColumns, toJsonRow } from "#relay/rows.ts";
import { events as e } from "./samples.ts";

const after = (...list: MessageEvent[]): Progress => {
  const progress = list.reduce<Progress | undefined>(evolveProgress, undefined);
  assert.ok(progress);
  return progress;
};
const status = (...list: MessageEvent[]) => statusOf(after(...list));

describe("progress of a message", () => {
  it("goes from submitted to delivered", () => {
    const story = [e.submitted(), e.sent(), e.finalized(), e.attested(), e.started(), e.delivered()];
    const statuses = story.map((_, index) => status(...story.slice(0, index + 1)));
    assert.deepEqual(statuses, ["submitted", "sent", "final", "attested", "delivering", "delivered"]);
    assert.equal(hasEnded(after(...story)), false);
    assert.equal(hasEnded(after(...story, e.outcomeFinal())), true);
  });

  it("is dropped when others sent it and it was reorganised out, and goes on when it is included again", () => {
    assert.equal(status(e.sent(), e.reorged()), "dropped");
    const again = after(e.sent(1n), e.reorged(), e.sent(7n, 11n));
    assert.equal(statusOf(again), "sent");
    assert.equal(again.sent?.nonce, 7n);
  });

  it("waits for its own transaction after a reorganisation, and is dropped only when that has ended", () => {
    assert.equal(status(e.submitted(), e.sent(), e.reorged()), "submitted");
    assert.equal(status(e.submitted(), e.dropped()), "dropped");
    assert.equal(status(e.submitted(), e.dropped(), e.sent()), "sent");
  });

  it("forgets on a reorganisation of its origin what was known of its way", () => {
    const again = after(e.sent(), e.finalized(), e.attested(), e.started(), e.reorged(), e.sent(2n, 11n));
    assert.deepEqual([again.attested, again.delivery, again.sent?.final], [false, undefined, false]);
  });

  it("falls back to attested when a delivery fails, and ignores the failure of an earlier one", () => {
    const started = [e.sent(), e.finalized(), e.attested(), e.started(1)];
    assert.equal(status(...started, e.deliveryFailed(1)), "attested");
    assert.equal(status(...started, e.deliveryFailed(1), e.started(2), e.deliveryFailed(1)), "delivering");
  });

  it("is tried anew when others delivered what was given up here and that is reorganised out", () => {
    const given = [e.sent(), e.finalized(), e.deliveryFailed(1), e.deadLettered(), e.delivered()];
    const undone = after(...given, e.undone("delivered"));
    assert.deepEqual([statusOf(undone), undone.delivery?.retryAt], ["final", 0n]);
  });

  it("is failed until a retry succeeds, and failed again when that success is reorganised out", () => {
    const failed = [e.sent(), e.finalized(), e.attested(), e.started(), e.failed(20n)];
    assert.equal(status(...failed), "failed");
    assert.equal(status(...failed, e.retryStarted()), "delivering");
    assert.equal(status(...failed, e.retryStarted(), e.retryFailed()), "failed");
    const retried = [...failed, e.outcomeFinal("failed"), e.retryStarted(), e.delivered(25n)];
    assert.equal(status(...retried), "delivered");
    const undone = after(...retried, e.undone("delivered"));
    assert.equal(statusOf(undone), "failed");
    assert.deepEqual(undone.failed, { block: 20n, final: true });
  });

  it("is delivering again when its first attempt is reorganised out", () => {
    const started = [e.sent(), e.finalized(), e.attested(), e.started()];
    assert.equal(status(...started, e.failed(), e.undone("failed")), "delivering");
    assert.equal(status(...started, e.delivered(), e.undone("delivered")), "delivering");
    // After a final outcome the sender is done with the transaction: a new one is needed.
    assert.equal(status(...started, e.delivered(), e.outcomeFinal(), e.undone("delivered")), "attested");
    // Somebody else's delivery: nothing of ours is on its way.
    assert.equal(status(e.sent(), e.finalized(), e.delivered(), e.undone("delivered")), "final");
  });

  it("keeps on a reorganisation of its origin what was done to its id, and only for that id", () => {
    const done = [e.sent(), e.finalized(), e.delivered(), e.outcomeFinal(), e.reorged()];
    assert.equal(status(...done), "delivered");
    assert.equal(hasEnded(after(...done)), true);
    assert.deepEqual(after(...done, e.sent(1n, 30n)).executed, { block: 20n, final: true });
    assert.equal(status(...done, e.sent(2n, 30n)), "sent");
    assert.equal(status(...done, e.undone()), "dropped");
    const failed = [e.sent(), e.finalized(), e.failed(), e.retryStarted(4), e.reorged()];
    assert.equal(status(...failed), "dropped");
    assert.equal(status(...failed, e.sent()), "delivering");
    assert.deepEqual(after(...failed, e.sent(), e.retryFailed(4)).retry, { attempt: 4, running: false });
  });

  it("counts as failed when its lane jumped over it, unless it had an outcome", () => {
    const open = [e.sent(), e.finalized()];
    assert.equal(status(...open, e.skipped()), "failed");
    assert.equal(status(...open, e.skipped(), e.undone("failed")), "final");
    assert.deepEqual(after(...open, e.delivered(), e.skipped(25n)), after(...open, e.delivered()));
  });

  it("says the same as the two chains do, in whatever order things happen to them", () => {
    const happening = fc.constantFrom<Happening>(
      ...([
        "send A",
        "send B",
        "reorg origin",
        "finalize origin",
        "attest",
        "start delivery",
        "fail delivery",
      ] as const),
      ...(["execute", "fail", "skip", "reorg destination", "finalize destination"] as const),
      ...(["start retry", "fail retry"] as const),
    );
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
        const world = createWorld();
        let progress: Progress | undefined = evolveProgress(undefined, e.submitted());
        for (const what of happenings) {
          for (const event of world.happen(what)) progress = evolveProgress(progress, event);
          assert.deepEqual(world.differences(progress), [], what);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("survives the way into the read model and back, whatever happened", () => {
    const any = fc.array(fc.constantFrom(...Object.values(e).map((make) => make())), { minLength: 1, maxLength: 25 });
    fc.assert(
      fc.property(any, (list) => {
        const progress = after(...list);
        const row = { id: "1", version: list.length, position: 1n, progress };
        assert.deepEqual(fromColumns(asColumns(toJsonRow(row))), row);
      }),
      { numRuns: 300 },
    );
  });
});

type Happening =
  | `send ${"A" | "B"}`
  | `${"reorg" | "finalize"} ${"origin" | "destination"}`
  | ("attest" | "execute" | "fail" | "skip")
  | `${"start" | "fail"} ${"delivery" | "retry"}`;

/**
 * Two chains as a message sees them: at most one place at the origin, as A or as B, and what the destination has done to
 * each. A message that was attempted as one comes back only as that one; otherwise it is another message.
 */
function createWorld() {
  type Outcomes = { executed?: { final: boolean }; failed?: { final: boolean } };
  const nonces = { A: 1n, B: 2n };
  let here: "A" | "B" | undefined;
  let attempted: "A" | "B" | undefined;
  let outcomes: Outcomes = {};
  const has = () => outcomes.executed !== undefined || outcomes.failed !== undefined;
  const attempt = (): boolean => {
    if (here === undefined || outcomes.executed !== undefined) return false;
    attempted = here;
    return true;
  };
  const send = (as: "A" | "B"): MessageEvent[] => {
    if (here !== undefined || (has() && attempted !== as)) return [];
    here = as;
    return [e.sent(nonces[as])];
  };
  const each = (work: (key: "executed" | "failed", name: "delivered" | "failed") => MessageEvent[]) => [
    ...work("executed", "delivered"),
    ...work("failed", "failed"),
  ];
  const happenings: Record<Happening, () => MessageEvent[]> = {
    "send A": () => send("A"),
    "send B": () => send("B"),
    "reorg origin": () => {
      if (here === undefined) return [];
      here = undefined;
      return [e.reorged()];
    },
    execute: () => {
      if (!attempt()) return [];
      outcomes = { ...outcomes, executed: { final: false } };
      return [e.delivered()];
    },
    fail: () => {
      if (has() || !attempt()) return [];
      outcomes = { failed: { final: false } };
      return [e.failed()];
    },
    skip: () => {
      if (has() || !attempt()) return [];
      outcomes = { failed: { final: false } };
      return [e.skipped()];
    },
    "reorg destination": () =>
      each((key, name) => {
        if (!outcomes[key]) return [];
        const { [key]: _gone, ...rest } = outcomes;
        outcomes = rest;
        return [e.undone(name)];
      }),
    "finalize destination": () =>
      each((key, name) => {
        if (!outcomes[key]) return [];
        outcomes = { ...outcomes, [key]: { final: true } };
        return [e.outcomeFinal(name)];
      }),
    "finalize origin": () => (here ? [e.finalized()] : []),
    attest: () => (here ? [e.attested()] : []),
    "start delivery": () => (here && !has() ? [e.started()] : []),
    "fail delivery": () => (here && !has() ? [e.deliveryFailed()] : []),
    "start retry": () => (here && outcomes.failed && !outcomes.executed ? [e.retryStarted()] : []),
    "fail retry": () => (here && outcomes.failed && !outcomes.executed ? [e.retryFailed()] : []),
  };
  return {
    happen: (what: Happening) => happenings[what](),
    /** What of the progress is not so. */
    differences(progress: Progress): string[] {
      const found: string[] = [];
      const expect = (holds: boolean, what: string) => void (holds || found.push(what));
      expect(progress.sent?.nonce === (here && nonces[here]), "place");
      for (const key of ["executed", "failed"] as const) {
        expect(progress[key]?.final === outcomes[key]?.final, key);
      }
      expect((progress.outcomeId !== undefined) === (has() && here === undefined), "outcomeId");
      expect((statusOf(progress) === "delivered") === (outcomes.executed !== undefined), "delivered");
      expect(hasEnded(progress) === (outcomes.executed?.final === true), "ended");
      return found;
    },
  };
}

const bigints = new Set([
  ...["position", "nonce", "sent_block", "delivery_retry_at", "failed_block", "executed_block"],
]);

/** What PostgreSQL makes of the JSON: missing keys are NULL, int8 a bigint. */
function asColumns(row: Record<string, unknown>): MessageColumns {
  const names = [
    ...bigints,
    "onchain_id",
    "accumulator",
    "gas_limit",
    "payload_bytes",
    "delivery_intent",
    "outcome_id",
  ];
  const blank = Object.fromEntries([...names, "delivery_attempt", "retry_attempt"].map((name) => [name, null]));
  const given = Object.entries(row).flatMap(([name, value]) =>
    value === undefined || name === "status" ? [] : [[name, bigints.has(name) ? BigInt(String(value)) : value]],
  );
  return { ...blank, ...Object.fromEntries(given) };
}
