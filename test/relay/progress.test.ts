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
    // Somebody else's delivery: nothing of ours is on its way.
    assert.equal(status(e.sent(), e.finalized(), e.delivered(), e.undone("delivered")), "final");
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
