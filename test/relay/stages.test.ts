import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { StoredEvent } from "#core/events/store.ts";
import { rootKey } from "#core/observe/tracing.ts";
import type { MessageEvent } from "#relay/events.ts";
import { deliveredBy } from "#relay/intents.ts";
import { messageStages } from "#relay/stages.ts";
import { events, hashOf, stored } from "./samples.ts";

const none = new Map<string, readonly StoredEvent[]>();
const stages = (...list: MessageEvent[]) => messageStages("1", stored(list), none);
/** Name, beginning and end in seconds, and what went wrong. */
const told = (...list: MessageEvent[]) =>
  stages(...list).map(({ name, start, end, error }) => [name, start / 1_000, end / 1_000, ...(error ? [error] : [])]);

describe("the stages of a message", () => {
  it("lead from the request to the final receipt without a hole", () => {
    const { submitted, sent, finalized, attested, started, delivered, outcomeFinal } = events;
    const way = [submitted(), sent(), finalized(), attested(), started(), delivered(), outcomeFinal()];
    assert.deepEqual(told(...way), [
      ["message", 0, 0],
      ["message.send", 0, 1],
      ["message.finality", 1, 2],
      ["message.attest", 2, 3],
      ["message.deliver", 4, 5],
      ["message.confirm", 5, 6],
      ["message.journey", 0, 6],
    ]);
  });

  it("begin with the block of a message that nobody asked for here", () => {
    const [sent, finalized] = stored([events.sent(1n, 10n), events.finalized()]);
    assert.ok(sent && finalized);
    const later = [sent, finalized].map((event) => ({ ...event, at: new Date(event.at.getTime() + 60_000) }));
    const [root, index] = messageStages("1", later, none);
    assert.deepEqual([root?.name, root?.start], ["message", 10_000]);
    assert.deepEqual([index?.name, index?.start, index?.end], ["message.index", 10_000, 60_000]);
  });

  it("tell of what went wrong by its code, and of what came after", () => {
    const { sent, finalized, started, deliveryFailed, failed, retryStarted, retryFailed, delivered } = events;
    const way = [sent(1n, 0n), finalized(), started(), deliveryFailed(), started(2), failed(), retryStarted()];
    assert.deepEqual(told(...way, retryFailed(), retryStarted(2), delivered()).slice(3), [
      ["message.deliver", 2, 3, "intent-reverted"],
      ["message.deliver", 4, 5, "execution-failed"],
      ["message.retry", 6, 7, "intent-reverts"],
      ["message.retry", 8, 9],
    ]);
    const { reorged, dropped, undone, deadLettered } = events;
    const names = told(sent(), reorged(), sent(), delivered(), undone(), deadLettered(), dropped());
    assert.deepEqual(
      names.filter(([name]) => !["message", "message.index"].includes(String(name))).map(([name]) => name),
      [
        ...["message.reorganised", "message.deliver", "message.reorganised", "message.dead_lettered"],
        ...["message.dropped", "message.journey"],
      ],
    );
  });

  it("are counted under the lane, but for moments, which take no time", () => {
    const { submitted, sent, finalized, started, delivered, outcomeFinal, reorged, deadLettered, revived } = events;
    const way = [submitted(), sent(), reorged(), sent(), finalized(), started(), deadLettered(), revived()];
    const all = stages(...way, delivered(), outcomeFinal());
    assert.deepEqual(
      all.flatMap(({ name, route }) => (route === undefined ? [name] : [])),
      ["message", "message.reorganised", "message.dead_lettered", "message.revived"],
    );
    assert.deepEqual(new Set(all.map(({ route }) => route)), new Set([undefined, "alpha→beta"]));
  });

  it("are counted with the next event where the one that ended them is read by nobody who counts", () => {
    const { submitted, sent, reorged, finalized } = events;
    const counted = (...list: MessageEvent[]) =>
      stages(...list).flatMap(({ name, route, position, countedAt }) => (route ? [[name, position, countedAt]] : []));
    assert.deepEqual(counted(submitted(), sent(), reorged(), sent(), finalized()), [
      ["message.send", 2n, 3n],
      ["message.index", 4n, 5n],
      ["message.finality", 5n, undefined],
    ]);
    assert.deepEqual(counted(sent()), [["message.index", 1n, undefined]], "nothing came after it yet");
  });

  it("keep their keys and places when more is known", () => {
    const { submitted, sent, finalized, attested, started, delivered, outcomeFinal } = events;
    const way = [submitted(), sent(), finalized(), attested(), started(), delivered(), outcomeFinal()];
    const all = new Map(stages(...way).map((stage) => [stage.key, stage]));
    assert.equal(all.size, 7, "no two have the same");
    for (let known = 1; known < way.length; known++) {
      for (const { countedAt: _later, ...stage } of stages(...way.slice(0, known))) {
        const { countedAt: _known, ...same } = all.get(stage.key) ?? {};
        assert.deepEqual(stage, same);
      }
    }
    assert.equal(all.get(rootKey)?.position, 1n);
  });

  it("have the transaction below what it was for, and a link to the delivery that carries others too", () => {
    const history = stored([events.sent(1n, 0n), events.finalized(), events.started(), events.delivered()]);
    const mined = { chain: "beta", kind: "relay.deliver", subject: "lane-x", hash: hashOf(1), blockNumber: 5n };
    const receipt = (type: string, position: bigint, seconds: number): StoredEvent => ({
      ...{ type, position, stream: "intent-lane-x-1", version: 1, at: new Date(seconds * 1_000) },
      data: { ...mined, status: "success" },
    });
    const intents = new Map([["lane-x-1", [receipt("IntentIncluded", 10n, 4), receipt("IntentFinalized", 11n, 9)]]]);
    const all = messageStages("1", history, intents);
    const delivery = all.find(({ name }) => name === "message.deliver");
    assert.deepEqual(delivery?.links, ["lane-x-1"]);
    const transaction = all.filter(({ name }) => name.startsWith("transaction."));
    assert.deepEqual(
      transaction.map(({ name, start, end, parent }) => [name, start, end, parent === delivery?.key]),
      [
        ["transaction.inclusion", 2_000, 4_000, true],
        ["transaction.finality", 4_000, 9_000, true],
      ],
    );
  });

  it("are found by the id of the delivery that carries them", () => {
    const subject = "lane-alpha→beta";
    const run = { origin: "alpha", destination: "beta", firstNonce: 5n, lastNonce: 9n };
    assert.deepEqual(deliveredBy(`${subject}-0-5-9-1`, subject), run);
    for (const other of [`${subject}-header-0-5-9-1`, `${subject}-defer-ab-1`, "message-1-send"]) {
      assert.equal(deliveredBy(other, subject), undefined);
    }
    assert.equal(deliveredBy("message-1-send", "message-1"), undefined);
  });
});
