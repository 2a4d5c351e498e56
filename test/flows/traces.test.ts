import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import type { MessageAnswer } from "#app/demo/api.ts";
import { traceOf } from "#core/observe/tracking.ts";
import { type CollectedSpan, type Collector, startCollector } from "#test/support/collector.ts";
import { type Member, startMember } from "#test/support/fleet.ts";
import { anyHome, type Home, openNetwork, type TestNetwork } from "#test/support/network.ts";
import { until } from "#test/support/until.ts";
import { messageRequest, type SwapAnswer, swapRequest } from "./requests.ts";

const timeoutMs = 60_000;
const payload = `0x${"5ec4e7".repeat(12)}`;
const callers = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" };

/** As it was chosen, with a collector of traces named in the environment. */
const tracedHome = (home: Home, url: string): Home => ({
  name: home.name,
  async open(dataDir) {
    const stores = await home.open(dataDir);
    return { ...stores, env: { ...stores.env, OTEL_EXPORTER_OTLP_ENDPOINT: url } };
  },
});

describe("traces", () => {
  let collector: Collector;
  let test: TestNetwork;
  let front: Member;

  before(async () => {
    collector = await startCollector();
    test = await openNetwork(tracedHome(await anyHome(), collector.url));
    front = await startMember(test, "front", { roles: ["api"] });
  });
  after(async () => {
    await front?.stop();
    await test?.close();
    await collector?.close();
  });

  const ask = async (path: string, body: unknown) => {
    const response = await fetch(`${front.url}${path}`, {
      method: "POST",
      headers: {
        ...{ "content-type": "application/json", authorization: `Bearer ${front.token}` },
        traceparent: `00-${callers.traceId}-${callers.spanId}-00`,
      },
      body: JSON.stringify(body),
    });
    const { id } = (await response.json()) as { id: string };
    return { id, requestId: response.headers.get("x-request-id") };
  };

  const spansOf = (tracking: string) => {
    const { traceId } = traceOf(tracking);
    return collector.spans.filter((span) => span.traceId === traceId);
  };

  /** The trace once it has these spans, checked to be one tree. */
  async function treeOf(tracking: string, names: readonly string[]): Promise<readonly CollectedSpan[]> {
    const missing = () => names.filter((name) => !spansOf(tracking).some((span) => span.name === name));
    await until(() => missing().length === 0, "all spans are there", timeoutMs).catch(() => undefined);
    assert.deepEqual(missing(), [], tracking);
    const orphans = () => {
      const known = new Set(spansOf(tracking).map(({ spanId }) => spanId));
      const lost = spansOf(tracking).filter(
        ({ parentSpanId }) => parentSpanId !== undefined && !known.has(parentSpanId),
      );
      return lost.map(({ name }) => name);
    };
    // What encloses something ends after it, and may come with the next batch.
    await until(() => orphans().length === 0, "all spans have their parents", timeoutMs).catch(() => undefined);
    assert.deepEqual(orphans(), []);
    const spans = spansOf(tracking);
    const roots = spans.filter(({ parentSpanId }) => parentSpanId === undefined);
    assert.deepEqual(new Set(roots.map(({ spanId }) => spanId)), new Set([traceOf(tracking).spanId]));
    for (const { name, start, end } of spans) assert.ok(start <= end, name);
    return spans;
  }

  it("has one trace for a message, from the request at one process to the final receipt at another", async () => {
    const { id, requestId } = await ask("/v1/messages", { ...messageRequest(test.network), payload });
    await test.api.until<MessageAnswer>(`/v1/messages/${id}`, ({ status }) => status === "delivered", timeoutMs);
    const spans = await treeOf(`message-${id}`, [
      ...["message", "POST /v1/messages", "message.send", "message.finality", "message.attest", "message.deliver"],
      ...["message.confirm", "message.journey", "message.batch", "transaction.sign", "transaction.send"],
      ...["transaction.inclusion", "transaction.finality", "chain.send", "db.transaction"],
    ]);
    const named = (name: string) => spans.find((span) => span.name === name);
    const stages = ["message.send", "message.finality", "message.attest", "message.deliver", "message.confirm"];
    for (const [before, next] of stages.slice(1).map((name, at) => [named(stages[at] ?? ""), named(name)] as const)) {
      assert.ok(before && next && before.end <= next.end, `${before?.name} before ${next?.name}`);
    }
    const request = named("POST /v1/messages");
    assert.equal(request?.attributes["lockstep.request.id"], requestId);
    assert.equal(request?.instance, "front");
    assert.deepEqual(
      request?.links.map(({ traceId, spanId }) => ({ traceId, spanId })),
      [callers],
    );
    assert.equal(named("message.send")?.parentSpanId, named("message")?.spanId);
    assert.equal(named("chain.send")?.parentSpanId, named("transaction.send")?.spanId);
    assert.notEqual(named("transaction.send")?.instance, "front");
    const delivery = named("message.deliver")?.links[0];
    const sending = () => collector.spans.filter(({ traceId }) => traceId === delivery?.traceId);
    await until(async () => sending().some(({ name }) => name === "transaction.send"), "the delivery's own trace");
    assert.ok(sending().some(({ spanId, name }) => name === "delivery" && spanId === delivery?.spanId));
  });

  it("has one trace for a swap, with every step and its transaction", async () => {
    const { id } = await ask("/v1/swaps", swapRequest(test.network));
    await test.api.until<SwapAnswer>(`/v1/swaps/${id}`, ({ status }) => status === "completed", timeoutMs);
    const steps = ["swap.lock-source", "swap.lock-target", "swap.claim-target", "swap.claim-source"];
    const spans = await treeOf(`swap-${id}`, [
      ...["swap", "POST /v1/swaps", "swap.advance", "swap.reveal_started", "swap.journey", ...steps],
      ...["transaction.check", "transaction.sign", "transaction.send", "transaction.inclusion", "transaction.finality"],
    ]);
    for (const step of steps) {
      const { spanId } = spans.find(({ name }) => name === step) ?? {};
      const below = spans.filter(({ parentSpanId }) => parentSpanId === spanId).map(({ name }) => name);
      assert.ok(below.includes("transaction.inclusion"), `${step}: ${below}`);
    }
    const whole = spans.find(({ name }) => name === "swap.journey");
    assert.equal(whole?.attributes["lockstep.outcome"], "claimed");
  });

  it("goes on with a trace after the process that worked on it was killed", async () => {
    const { id } = await ask("/v1/swaps", swapRequest(test.network));
    await until(async () => spansOf(`swap-${id}`).length > 0, "it has begun to be traced");
    await test.network.service.kill();
    await test.network.service.start();
    await test.api.until<SwapAnswer>(`/v1/swaps/${id}`, ({ status }) => status === "completed", timeoutMs);
    await treeOf(`swap-${id}`, ["swap", "swap.lock-source", "swap.claim-source", "swap.journey"]);
  });

  it("tells nothing that is secret, and no payload", async () => {
    const all = collector.raw.join("\n");
    assert.ok(all.length > 10_000);
    for (const secret of [payload.slice(2), test.network.token(), front.token]) assert.ok(!all.includes(secret));
    const keys = Object.values(test.network.accounts).map(({ file }) => readFileSync(file, "utf8").trim().slice(2));
    for (const key of keys) assert.ok(!all.includes(key));
    const { locks } = await test.api.get<{ locks: { secret?: string }[] }>("/v1/locks");
    const secrets = locks.flatMap(({ secret }) => secret ?? []);
    assert.ok(secrets.length > 0, "secrets are known by now");
    for (const secret of secrets) assert.ok(!all.includes(secret.slice(2)));
    // Addresses and hashes are the longest that anything says.
    assert.doesNotMatch(all, /0x[0-9a-f]{65,}/);
  });

  it("is found from the log by the tracking id that both have", async () => {
    const { id, requestId } = await ask("/v1/messages", messageRequest(test.network));
    const line = async () =>
      readFileSync(test.network.layout.log("front"), "utf8")
        .split("\n")
        .find((each) => each.includes(requestId ?? "") && each.includes("request answered"));
    await until(async () => (await line()) !== undefined, "the log has the request");
    const { tracking, trace_id } = JSON.parse((await line()) ?? "");
    assert.deepEqual([tracking, trace_id], [`message-${id}`, traceOf(`message-${id}`).traceId]);
  });
});
