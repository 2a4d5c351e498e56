import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { systemClock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { createMetrics } from "#core/observe/metrics.ts";
import { createOtlpTracing } from "#core/observe/otlp.ts";
import { rootKey, type Stage, type Tracing } from "#core/observe/tracing.ts";
import { currentlyTracked, spanIdOf, traceOf } from "#core/observe/tracking.ts";
import { type Collector, startCollector } from "#test/support/collector.ts";
import { quietLog } from "#test/support/databases.ts";

const stage = (tracking: string, key: string, more: Partial<Stage> = {}): Stage => ({
  ...{ tracking, key, name: `stage ${key}`, start: 1_700_000_000_123, end: 1_700_000_001_456, attributes: {}, ...more },
});

describe("traces by OTLP", () => {
  let collector: Collector;
  let metrics: ReturnType<typeof createMetrics>;
  const made: Tracing[] = [];

  const create = (options: { url?: string; sample?: number; timeoutMs?: number } = {}) => {
    metrics = createMetrics();
    const tracing = createOtlpTracing({
      ...{ url: `${collector.url}/v1/traces`, sample: 1, timeoutMs: 500, ...options },
      headers: { "x-collector-key": "key" },
      service: { version: "1", instance: "one" },
      ...{ clock: systemClock, metrics, log: quietLog },
    });
    made.push(tracing);
    return tracing;
  };

  beforeEach(async () => {
    collector = await startCollector();
  });
  afterEach(async () => {
    await Promise.all(made.splice(0).map((each) => each.stop(0)));
    await collector.close();
  });

  it("tells stages with ids that derive from what they are of, in their times", async () => {
    const tracing = create();
    const stages = [stage("swap-1", rootKey), stage("swap-1", "a"), stage("swap-1", "b", { parent: "a", error: "no" })];
    await tracing.deliver(stages);
    await tracing.deliver(stages.slice(1));
    const { traceId, spanId } = traceOf("swap-1");
    const [root, a, b, again] = collector.spans;
    assert.deepEqual([root?.spanId, root?.parentSpanId], [spanId, undefined]);
    assert.deepEqual([a?.traceId, a?.spanId, a?.parentSpanId], [traceId, spanIdOf("swap-1", "a"), spanId]);
    assert.deepEqual([b?.parentSpanId, b?.error], [a?.spanId, "no"]);
    assert.deepEqual([a?.start, a?.end], [1_700_000_000_123, 1_700_000_001_456]);
    assert.deepEqual({ ...again }, { ...a });
    assert.deepEqual(new Set(collector.headers), new Set(["key"]));
  });

  it("puts work below the work around it, and says of an error only its code", async () => {
    const tracing = create();
    const failing = tracing.scope("swap-1", "look", async () => {
      assert.equal(currentlyTracked()?.tracking, "swap-1");
      await tracing.around("inner", { "lockstep.chain": "alpha" }, async () => turn());
      throw new LockstepError("chain-unreachable", "secret words");
    });
    await assert.rejects(failing, { code: "chain-unreachable" });
    await assert.rejects(tracing.scope("swap-1", "odd", () => Promise.reject(new RangeError("secret words"))));
    await tracing.around("of nothing that is traced", {}, async () => undefined);
    await tracing.stop(5_000);
    const [inner, look, odd, ...others] = collector.spans;
    assert.deepEqual(others, []);
    assert.deepEqual([look?.parentSpanId, look?.error], [traceOf("swap-1").spanId, "chain-unreachable"]);
    assert.deepEqual([inner?.parentSpanId, inner?.attributes["lockstep.chain"]], [look?.spanId, "alpha"]);
    assert.equal(odd?.error, "RangeError");
    assert.doesNotMatch(collector.raw.join(), /secret words/);
  });

  it("keeps the same part of all things in every process, each wholly or not at all", async () => {
    const [one, other, none] = [create({ sample: 0.25 }), create({ sample: 0.25 }), create({ sample: 0 })];
    const ids = Array.from({ length: 2_000 }, (_, at) => `message-${at}`);
    const kept = ids.filter(one.keeps);
    assert.deepEqual(ids.filter(other.keeps), kept);
    assert.ok(kept.length > 400 && kept.length < 600, String(kept.length));
    assert.deepEqual(ids.filter(none.keeps), []);
    for (const id of ids.slice(0, 200)) await one.scope(id, "look", async () => undefined);
    await one.stop(5_000);
    const told = new Set(collector.spans.map(({ traceId }) => traceId));
    assert.deepEqual(told, new Set(kept.filter((id) => ids.indexOf(id) < 200).map((id) => traceOf(id).traceId)));
  });

  it("refers to a caller's span, and lets it decide nothing", async () => {
    const tracing = create();
    const request = { name: "POST /x", start: 1, end: 2, attributes: {} };
    const caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    tracing.request({ ...request, tracking: "swap-1", traceparent: caller });
    for (const odd of ["00-zz-1-01", `00-${"0".repeat(32)}-00f067aa0ba902b7-01`, `${caller}-x`, "x".repeat(10_000)]) {
      tracing.request({ ...request, traceparent: odd });
    }
    await tracing.stop(5_000);
    const [own, ...odd] = collector.spans;
    assert.equal(own?.traceId, traceOf("swap-1").traceId);
    assert.deepEqual(
      own?.links.map(({ spanId }) => spanId),
      ["00f067aa0ba902b7"],
    );
    assert.deepEqual(
      odd.map(({ links }) => links.length),
      [0, 0, 0, 0],
    );
    const none = create({ sample: 0 });
    none.request({ ...request, traceparent: caller });
    await none.stop(5_000);
    assert.equal(collector.spans.length, 5);
  });

  it("shows a thing that is looked at over and over only so often", async () => {
    const tracing = create();
    for (let look = 0; look < 100; look++) await tracing.scope("swap-1", "look", async () => undefined);
    await tracing.scope("swap-2", "look", async () => undefined);
    await tracing.stop(5_000);
    const of = (tracking: string) => collector.spans.filter(({ traceId }) => traceId === traceOf(tracking).traceId);
    assert.deepEqual([of("swap-1").length, of("swap-2").length], [30, 1]);
  });

  it("holds nobody up while the collector hangs, loses what is too much, and lets go of it in the end", async () => {
    collector.mode = "hang";
    const tracing = create({ timeoutMs: 60_000 });
    const begun = performance.now();
    for (let at = 0; at < 10_000; at++) await tracing.scope(`swap-${at}`, "look", async () => undefined);
    assert.ok(performance.now() - begun < 5_000, "work goes on as it does without a collector");
    const waiting = tracing.deliver([stage("swap-1", "a")], AbortSignal.timeout(50));
    await assert.rejects(waiting, /stopped before the collector/);
    const stopping = performance.now();
    await tracing.stop(100);
    assert.ok(performance.now() - stopping < 2_000);
    assert.ok(collector.raw.length < 30, `${collector.raw.length} requests`);
  });

  it("counts what the collector did not take, and says so when it is to be told again", async () => {
    const tracing = create();
    collector.mode = "refuse";
    await assert.rejects(tracing.deliver([stage("swap-1", "a")]), /did not take spans/);
    collector.mode = "take";
    await tracing.deliver([stage("swap-1", "a")]);
    const { body } = await metrics.text();
    assert.match(body, /lockstep_trace_spans_total\{outcome="failed"\} 1/);
    assert.match(body, /lockstep_trace_spans_total\{outcome="sent"\} 1/);
    const away = create({ url: "http://127.0.0.1:9/v1/traces" });
    await assert.rejects(away.deliver([stage("swap-1", "a")]), /did not take spans/);
  });
});
