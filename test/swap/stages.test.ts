import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { StoredEvent } from "#core/events/store.ts";
import { batchIntentOf } from "#swap/batches.ts";
import { batchStream, type SwapEvent } from "#swap/events.ts";
import { swapStages } from "#swap/stages.ts";
import { givenUp, requested, restored, secret } from "./samples.ts";

const hash = `0x${"7".repeat(64)}` as const;
const place = { transactionHash: hash, blockNumber: 4n, blockHash: hash, at: 500n };
const started = (
  step: "lock-source" | "lock-target" | "claim-target" | "claim-source" | "approve-source",
  intentId: string = step,
) => ({ type: "StepStarted", data: { step, attempt: 1, intentId } }) satisfies SwapEvent;
const detected = (leg: "source" | "target") => ({ type: "LegDetected", data: { leg, ...place } }) satisfies SwapEvent;
const locked = (leg: "source" | "target") =>
  ({ type: "LegLocked", data: { leg, finalHeight: 9n } }) satisfies SwapEvent;
const claimed = (leg: "source" | "target") =>
  ({ type: "LegClaimed", data: { leg, secret, ...place } }) satisfies SwapEvent;
const ended = (leg: "source" | "target") =>
  ({ type: "LegClaimFinalized", data: { leg, finalHeight: 9n } }) satisfies SwapEvent;

const stored = (list: readonly SwapEvent[]): StoredEvent<SwapEvent>[] =>
  list.map((event, index) => ({
    ...event,
    ...{ position: BigInt(index + 1), stream: "swap-1", version: index + 1, at: new Date(index * 1_000) },
  }));
const stages = (...list: SwapEvent[]) => swapStages(stored([requested, ...list]), new Map());
const told = (...list: SwapEvent[]) =>
  stages(...list).map(({ name, start, end, error }) => [name, start / 1_000, end / 1_000, ...(error ? [error] : [])]);

/** Events that count how often they are looked at. */
function counted(list: readonly SwapEvent[]) {
  const looked = { count: 0 };
  const get = (event: StoredEvent<SwapEvent>, key: string | symbol) => {
    if (key === "type") looked.count += 1;
    return Reflect.get(event, key);
  };
  return { history: stored(list).map((event) => new Proxy(event, { get })), looked };
}

describe("the stages of a swap", () => {
  it("are its steps and when their effects were final, from the request to the end", () => {
    const way = [
      ...[started("approve-source"), started("lock-source"), detected("source"), locked("source")],
      ...[started("lock-target"), detected("target"), locked("target")],
      ...[{ type: "RevealStarted", data: { blockNumber: 1n, blockHash: hash } } satisfies SwapEvent],
      ...[started("claim-target"), claimed("target"), started("claim-source"), claimed("source")],
      ...[ended("target"), ended("source")],
    ];
    assert.deepEqual(told(...way), [
      ["swap", 0, 0],
      ["swap.approve-source", 1, 2],
      ["swap.lock-source", 2, 3],
      ["swap.finality-source", 3, 4],
      ["swap.lock-target", 5, 6],
      ["swap.finality-target", 6, 7],
      ["swap.reveal_started", 8, 8],
      ["swap.claim-target", 9, 10],
      ["swap.claim-source", 11, 12],
      ["swap.finality-target", 10, 13],
      ["swap.finality-source", 12, 14],
      ["swap.journey", 0, 14],
    ]);
    const all = stages(...way);
    assert.equal(new Set(all.map(({ key }) => key)).size, all.length);
    assert.doesNotMatch(
      JSON.stringify(all, (_, value) => (typeof value === "bigint" ? String(value) : value)),
      /9{64}/,
    );
  });

  it("are counted under the two chains, but for moments, which take no time", () => {
    const way = [started("lock-source"), detected("source"), locked("source"), restored, givenUp];
    assert.deepEqual(
      stages(...way).flatMap(({ name, route }) => (route === undefined ? [name] : [])),
      ["swap", "swap.restored", "swap.given_up"],
    );
    assert.deepEqual(new Set(stages(...way).map(({ route }) => route)), new Set([undefined, "alpha→beta"]));
  });

  it("say what others did, what failed, and what a batch did", () => {
    const batch = batchIntentOf(batchStream("7"));
    const failed: SwapEvent = {
      type: "StepFailed",
      data: { step: "lock-target", attempt: 1, code: "intent-expired", detail: "words" },
    };
    const all = stages(detected("source"), started("lock-target", batch), failed);
    assert.deepEqual(
      all.map(({ name, error, links = [], attributes }) => [name, error, links, attributes["lockstep.by"]]),
      [
        ["swap", undefined, [], undefined],
        ["swap.lock-source", undefined, [], "others"],
        ["swap.lock-target", "intent-expired", [batch], undefined],
      ],
    );
  });

  it("look at each event as often however long the history is", () => {
    const failed: SwapEvent = {
      type: "StepFailed",
      data: { step: "claim-target", attempt: 1, code: "intent-reverts", detail: "words" },
    };
    const looks = (retries: number) => {
      const tries = Array.from({ length: retries }, () => [started("claim-target"), failed]).flat();
      const way = [requested, detected("source"), detected("target"), ...tries, claimed("target"), claimed("source")];
      const { history, looked } = counted([...way, ended("target"), ended("source")]);
      const whole = swapStages(history, new Map()).filter(({ name }) => name === "swap.journey");
      assert.deepEqual(
        whole.map(({ start, end }) => [start, end]),
        [[0, (history.length - 1) * 1_000]],
      );
      return looked.count;
    };
    const [few, twice, thrice] = [looks(100), looks(200), looks(300)];
    assert.equal(thrice - twice, twice - few);
  });

  it("end again after a reorganisation has undone the end", () => {
    const undone: SwapEvent = { type: "LegReorged", data: { leg: "source", undone: "claim", ancestor: 3n } };
    const way = [detected("source"), detected("target"), claimed("target"), claimed("source")];
    const wholes = told(...way, ended("target"), ended("source"), undone, claimed("source"), ended("source"));
    assert.deepEqual(
      wholes.filter(([name]) => name === "swap.journey"),
      [
        ["swap.journey", 0, 6],
        ["swap.journey", 0, 9],
      ],
    );
  });
});
