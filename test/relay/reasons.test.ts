import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createHttpServer } from "#core/http/server.ts";
import { untraced } from "#core/observe/tracing.ts";
import { type Waiting, waitCodes } from "#core/sender/sender.ts";
import { createRelayRoutes } from "#relay/api.ts";
import { createAsking } from "#relay/ask.ts";
import type { MessageEvent } from "#relay/events.ts";
import { createRelayQueries } from "#relay/queries.ts";
import { attemptsOf } from "#relay/ramp.ts";
import { type ReasonCode, reasonTable } from "#relay/reasons.ts";
import { createMessageActions } from "#relay/retry.ts";
import { viewOf } from "#relay/view.ts";
import { onDatabase, quietLog } from "../support/databases.ts";
import { type Rules, type Scene, sceneCases } from "./laneScene.ts";
import { addressOf, book, events as e, epoch, hashOf, openPolicy, stored } from "./samples.ts";

type View = {
  status: string;
  reason: { code: string; message: string; nextAttemptAt?: string; attempt?: number; quorum?: { missing: string[] } };
};
type LaneAnswer = { lane: string; pausedThere?: boolean; generation?: number; reason?: View["reason"] };

/** The API over a scene. */
async function serve(o: Scene, waiting: () => ReadonlyMap<string, Waiting> = () => new Map()) {
  const { db, store, sender, lanes, clock } = o;
  const waits = { waiting: async () => waiting() };
  const queries = createRelayQueries({ db, store, lanes, book, asking, clock, sender: waits, retryFailed: true });
  const parts = { db, store, sender, lanes, clock, log: quietLog, account: "relayer", retryFailed: true };
  const actions = createMessageActions({ ...parts, policy: openPolicy, random: () => 0.5 });
  const http = await createHttpServer({ log: quietLog, title: "test", version: "1", description: "" });
  const requester = { request: async () => undefined, exists: async () => false };
  await createRelayRoutes({ requester, actions, queries, receive: async () => undefined })(http);
  const get = async <T>(url: string): Promise<T> => {
    const answer = await http.inject({ url, headers: { host: "127.0.0.1" } });
    assert.equal(answer.statusCode, 200, answer.body);
    return answer.json();
  };
  return {
    message: async () => (await get<{ messages: View[] }>("/v1/messages")).messages.at(-1)!,
    lane: async () =>
      (await get<{ lanes: LaneAnswer[] }>("/v1/lanes")).lanes.find(({ lane }) => lane === "alpha→beta")!,
  };
}

const seen = new Set<string>();

/** What is brought about → the message's reason, and the lane's where it is another one. */
const waits: readonly [ReasonCode, (scene: Scene["scene"]) => unknown, Rules?, ReasonCode?][] = [
  ["awaiting-quorum", (scene) => Object.assign(scene, { signed: 0n })],
  ["validator-set-mismatch", (scene) => Object.assign(scene, { setHash: hashOf(9) })],
  ["destination-paused", (scene) => Object.assign(scene, { isPaused: true })],
  ["endpoint-down", (scene) => Object.assign(scene, { hangs: true })],
  [
    "bucket-empty",
    (scene) => Object.assign(scene, { bucket: { capacity: 5n, used: 5n, usedAt: 1_000n, window: 100n } }),
  ],
  ["gas-price-too-high", (scene) => Object.assign(scene, { gasPrice: 11n }), { maxGasPrice: { beta: "10" } }],
  ["unprofitable", () => undefined, { minProfitPercent: 0, fee: 1n }],
  ["lane-denied", () => undefined, { denyLanes: [{ origin: "alpha", destination: "beta" }] }],
  ["message-denied", () => undefined, { denySenders: [addressOf(1)] }],
  ["deferring", () => undefined, { denySenders: [addressOf(1)], operatorAccount: "operator" }],
  ["dry-run-reverts", (scene) => Object.assign(scene, { dryRun: () => ({ detail: "no" }) }), {}, "delivery-failed"],
];

await onDatabase("a message that waits", (backend) => {
  const each = sceneCases(backend);
  for (const [code, bring, rules, laneCode = code] of waits) {
    seen.add(code).add(laneCode);
    each(
      `says ${code} and when it is tried again, and so does its lane`,
      2,
      async (o) => {
        const api = await serve(o);
        bring(o.scene);
        await o.drive();
        const [{ reason }, lane] = [await api.message(), await api.lane()];
        assert.deepEqual([reason.code, lane.reason?.code], [code, laneCode]);
        assert.ok(reason.message.length > 10 && reason.attempt !== undefined, reason.message);
        assert.ok(Date.parse(reason.nextAttemptAt ?? "") >= o.clock.now(), reason.nextAttemptAt);
        if (code === "awaiting-quorum") assert.deepEqual(reason.quorum?.missing, ["one", "two", "three"]);
        if (code === "destination-paused") assert.equal(lane.pausedThere, true);
      },
      rules,
    );
  }

  each("says what its transaction waits for, and so does its lane", 1, async (o) => {
    const detail = "the account cannot pay it now";
    const waiting = () =>
      new Map(o.scene.submitted.map(({ id }) => [id, { code: "balance-insufficient", detail } as const]));
    const api = await serve(o, waiting);
    await o.drive();
    assert.deepEqual(
      [(await api.message()).reason.code, (await api.lane()).reason?.code],
      Array(2).fill("balance-insufficient"),
    );
  });

  each("says so when it is given up, and when it is on its way", 1, async (o) => {
    const api = await serve(o);
    o.scene.dryRun = () => ({ detail: "no" });
    for (let n = 0; n <= (attemptsOf("dry-run-reverts") ?? 0); n++) {
      await o.drive();
      o.pass(4 * 3_600_000);
    }
    assert.deepEqual(
      [(await api.message()).reason.code, (await api.lane()).reason?.code],
      Array(2).fill("dead-lettered"),
    );
    o.scene.dryRun = () => undefined;
    const queries = createRelayQueries({ ...o, sender: {}, book, asking, retryFailed: true });
    const [id] = (await queries.messages({ deadLettered: true, limit: 5 })).messages.map((view) => view.id);
    const parts = { account: "relayer", log: quietLog, retryFailed: true, random: () => 0.5 };
    await createMessageActions({ ...o, ...parts, policy: openPolicy }).retry(id ?? "");
    await o.drive();
    assert.deepEqual([(await api.message()).reason.code, o.ids().length], ["delivery-in-progress", 1]);
  });
});
seen.add("dead-lettered").add("delivery-in-progress");

/** What happened → the reason. */
const ended = (code: string): MessageEvent => ({ ...e.dropped(), data: { ...e.dropped().data, code } }) as MessageEvent;
const stories: readonly [ReasonCode, readonly MessageEvent[]][] = [
  ["awaiting-inclusion", [e.submitted()]],
  ["reorged-out", [e.sent(), e.reorged()]],
  ["awaiting-finality", [e.sent()]],
  ["awaiting-delivery", [e.sent(1n), e.finalized(), e.attested()]],
  ["intent-reverted", [e.sent(), e.finalized(), e.attested(), e.started(), e.deliveryFailed()]],
  ["ended", [e.sent(), e.finalized(), e.delivered(), e.outcomeFinal()]],
  ["execution-failed", [e.sent(), e.finalized(), e.failed()]],
  ["abandoned", [e.sent(), e.finalized(), e.failed(), e.abandoned()]],
  ["lane-realigned", [e.sent(), e.finalized(), e.skipped()]],
  ["intent-reverts", [e.submitted(), ended("intent-reverts")]],
  ["intent-expired", [e.submitted(), ended("intent-expired")]],
  ["intent-refused", [e.submitted(), ended("intent-refused")]],
];

const asking = createAsking({ timeoutMs: 500, around: untraced.around });

describe("a message's story", () => {
  for (const [code, story] of stories) {
    it(`says ${code}`, () => {
      const heads = new Map([addressOf(10), addressOf(11)].map((validator) => [validator, 9n]));
      const view = viewOf(stored([...story]), () => ({ book: epoch, heads, retryFailed: true }));
      assert.equal(view?.reason.code, code);
    });
  }

  for (const code of waitCodes) {
    it(`says ${code} where its transaction waits for that`, () => {
      const intents = new Map([["message-1-send", { code, detail: "so" }]]);
      const view = viewOf(stored([e.submitted()]), () => ({
        book: epoch,
        heads: new Map(),
        intents,
        retryFailed: true,
      }));
      assert.equal(view?.reason.code, code);
    });
  }

  it("says of a lane that is not served that its messages wait, also those whose transaction was not sent", () => {
    const hold = { code: "lane-removed", detail: "the lane alpha→beta is not served here" } as const;
    const started = e.started();
    const intents = new Map([["lane-x-1", { code: "chain-paused", detail: "beta is paused" } as const]]);
    const context = { book: epoch, heads: new Map(), hold, retryFailed: true };
    const reason = (last: readonly MessageEvent[], more = {}) => {
      const story = [e.sent(), e.finalized(), e.attested(), ...last];
      return viewOf(stored(story), () => ({ ...context, ...more }))?.reason.code;
    };
    assert.deepEqual(
      [reason([]), reason([started]), reason([started], { intents })],
      ["lane-removed", "delivery-in-progress", "lane-removed"],
    );
    seen.add("lane-removed");
  });

  it("leaves no code of the table out", () => {
    for (const [code] of stories) seen.add(code);
    // Told elsewhere: by retries.test.ts (the second one in the timeline), proofAuthority.test.ts, the registry's tests,
    // deepReorganisation.test.ts and startBlock.test.ts.
    const elsewhere = [
      "deferred",
      "retry-reverts",
      "awaiting-header",
      "header-conflict",
      "lane-paused",
      "chain-paused",
      "lane-diverged",
      "start-block-too-high",
    ];
    const all = [...new Set([...seen, ...waitCodes, ...elsewhere])].sort();
    assert.deepEqual(all, Object.keys(reasonTable).sort());
  });
});
