import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeErrorResult, parseAbi } from "viem";
import type { MessageEvent } from "#relay/events.ts";
import { describeReason } from "#relay/failure.ts";
import { jobsOf } from "#relay/jobs.ts";
import { attemptsOf } from "#relay/ramp.ts";
import { type LaneContext, type LaneTrouble, viewOf } from "#relay/view.ts";
import { addressOf, events as e, epoch, lane, stored } from "./samples.ts";

const heads = (...nonces: bigint[]) => new Map(nonces.map((nonce, index) => [addressOf(index + 10), nonce]));
const trouble: LaneTrouble = { code: "awaiting-quorum", detail: "too few", dueAt: new Date(9_000), misses: 2 };

function view(list: MessageEvent[], context: Partial<LaneContext> = {}) {
  const found = viewOf(stored(list), () => ({ book: epoch, heads: heads(), retryFailed: true, ...context }));
  assert.ok(found);
  return found;
}

describe("view of a message", () => {
  it("has the on-chain id and nonce once they exist, and the requested content before", () => {
    const before = view([e.submitted()]);
    assert.deepEqual([before.onchainId, before.nonce, before.payload], [undefined, undefined, "0x6869"]);
    assert.equal(before.reason.code, "awaiting-inclusion");
    assert.equal(before.lane, "alpha→beta");
    assert.equal(view([e.submitted(), e.sent(4n)]).nonce, 4n);
    assert.equal(view([e.submitted(), e.sent(), e.reorged()]).reason.code, "reorged-out");
  });

  it("says which validators are missing, what the threshold is and when it looks again", () => {
    const { reason, status } = view([e.sent(5n), e.finalized()], { heads: heads(7n, 4n), trouble });
    assert.equal(status, "final");
    assert.equal(reason.code, "awaiting-quorum");
    assert.deepEqual(reason.quorum, {
      threshold: "more than half of weight 3",
      ...{ weight: 1n, totalWeight: 3n, answered: ["one"], missing: ["two", "three"] },
    });
    assert.deepEqual([reason.nextAttemptAt, reason.attempt], [new Date(9_000).toISOString(), 3]);
    assert.match(reason.message, /two, three missing/);
  });

  it("tells a lane that is held up by something else from one whose turn has come", () => {
    const mismatch = { ...trouble, code: "validator-set-mismatch" };
    const final = [e.sent(5n), e.finalized()];
    assert.equal(view(final, { heads: heads(5n, 5n), trouble: mismatch }).reason.code, "validator-set-mismatch");
    assert.equal(view(final, { heads: heads(5n, 5n) }).reason.code, "awaiting-delivery");
  });

  it("says why the last delivery failed and when the next one is due", () => {
    const { reason } = view([e.sent(), e.finalized(), e.attested(), e.started(), e.deliveryFailed()]);
    assert.deepEqual([reason.code, reason.nextAttemptAt], ["intent-reverted", new Date(5_000).toISOString()]);
    assert.deepEqual([reason.attempt, reason.attempts], [2, attemptsOf("intent-reverted")]);
  });

  it("says what the transaction of a retry waits for, not that of the delivery before", () => {
    const story = [e.sent(), e.finalized(), e.attested(), e.started(), e.failed(), e.retryStarted()];
    const intents = new Map([["message-1-retry-1", { code: "balance-insufficient", detail: "so" } as const]]);
    assert.equal(view(story, { intents }).reason.code, "balance-insufficient");
  });

  it("says what the recipient answered, in words", () => {
    const abi = parseAbi(["error Error(string)", "error InsufficientGas(uint256,uint256)"]);
    const words = encodeErrorResult({ abi, errorName: "Error", args: ["no thanks"] });
    assert.match(describeReason(words), /reverted: no thanks/);
    const own = encodeErrorResult({ abi, errorName: "InsufficientGas", args: [1n, 2n] });
    assert.equal(describeReason(own), "InsufficientGas(1, 2)");
    assert.match(describeReason("0xdeadbeef"), /0xdeadbeef/);
    assert.match(describeReason("0x"), /without a reason/);
    assert.equal(view([e.sent(), e.finalized(), e.failed()]).reason.code, "execution-failed");
  });

  it("shows every event in its timeline", () => {
    const all = Object.values(e).map((make) => make());
    assert.deepEqual(
      view([...all]).timeline.map(({ what }) => what),
      all.map(({ type }) => type),
    );
  });
});

describe("jobs of messages", () => {
  const base = { position: 7n, version: 1, at: new Date(0) };
  const intent = (type: string, kind: string, subject: string, status?: string) =>
    jobsOf({ ...base, stream: "intent-i1", type, data: { kind, subject, ...(status && { status }) } });

  it("ask for one look at a lane, not one for each message", () => {
    const jobs = jobsOf({ ...base, ...e.finalized(), stream: "message-1" });
    assert.deepEqual(
      jobs.map(({ name, data }) => ({ name, data })),
      [{ name: "relay.deliver", data: { lane: "alpha→beta" } }],
    );
    const another = { ...e.finalized(), data: { ...lane, finalHeight: 12n, newest: false } };
    assert.deepEqual(jobsOf({ ...base, ...another, stream: "message-1" }), []);
  });

  it("follow up intents that have ended, and leave those of others alone", () => {
    assert.equal(intent("IntentIncluded", "relay.deliver", "lane-alpha→beta", "reverted")[0]?.name, "relay.deliver");
    assert.deepEqual(intent("IntentFinalized", "relay.deliver", "lane-alpha→beta", "success"), []);
    assert.equal(intent("IntentFinalized", "relay.retry", "message-5", "reverted")[0]?.name, "relay.settle");
    assert.deepEqual(intent("IntentAbandoned", "relay.send", "message-5")[0]?.data, { message: "5", intent: "i1" });
    assert.deepEqual(intent("IntentIncluded", "relay.send", "message-5"), []);
    assert.deepEqual(intent("IntentFinalized", "swap.lock-source", "swap-5"), []);
  });
});
