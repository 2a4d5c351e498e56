import { randomBytes } from "node:crypto";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { type Link, type SpanContext, SpanKind, SpanStatusCode, TraceFlags } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from "@opentelemetry/sdk-trace";
import { ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from "@opentelemetry/semantic-conventions";
import type { Clock } from "../kernel/clock.ts";
import { isLockstepError } from "../kernel/errors.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { type AnsweredRequest, rootKey, type SpanAttributes, type Stage, type Tracing } from "./tracing.ts";
import { currentlyTracked, runTracked, type SpanRef, spanIdOf, type TrackingId, traceOf } from "./tracking.ts";

type Deps = {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** From 0 to 1. */
  readonly sample: number;
  readonly timeoutMs: number;
  readonly service: { readonly version: string; readonly instance: string };
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "counter">;
  readonly log: Log;
};

/** Stages in one request to the collector. */
const mostAtOnce = 500;
/** Spans of this process that wait for the collector; further ones are lost. */
const mostWaiting = 4_096;
const batchMs = 1_000;
/**
 * Looks at one thing within a minute that become spans: what waits for long is looked at over and over, and its trace has
 * to stay readable.
 */
const mostLooks = 30;
const lookMs = 60_000;
/** Things that are remembered to have been looked at. */
const mostLookedAt = 10_000;
/** Characters of an attribute; what is longer is none of ours. */
const mostCharacters = 200;

type SpanFacts = {
  readonly name: string;
  readonly ref: SpanRef;
  readonly parent?: string | undefined;
  readonly kind?: SpanKind;
  /** Unix milliseconds. */
  readonly start: number;
  readonly end: number;
  readonly error?: string | undefined;
  readonly attributes: SpanAttributes;
  readonly links?: readonly SpanRef[];
};

/**
 * Traces by way of OpenTelemetry's exporter. Ids of spans are made here and not by a tracer: those of stages derive from
 * what they tell of, so that whoever tells it again tells the same.
 */
export function createOtlpTracing(deps: Deps): Tracing {
  const { clock, sample } = deps;
  const { exporter, destroy } = createExporter(deps);
  const processor = new BatchSpanProcessor({
    ...{ exporter, maxQueueSize: mostWaiting, scheduledDelayMillis: batchMs, exportTimeoutMillis: deps.timeoutMs },
  });
  const toSpan = createSpanMaker(deps.service);
  const looks = createAllowance(clock);

  const keeps = (tracking: TrackingId) => isKept(traceOf(tracking).traceId, sample);

  async function live<T>(facts: Pick<SpanFacts, "name" | "attributes">, below: Below, work: () => Promise<T>) {
    const ref = { traceId: below.traceId, spanId: randomBytes(8).toString("hex") };
    const start = clock.now();
    const end = (error?: string) =>
      processor.onEnd(toSpan({ ...facts, ref, parent: below.spanId, start, end: clock.now(), error }));
    try {
      const result = await runTracked({ tracking: below.tracking, span: ref }, work);
      end();
      return result;
    } catch (error) {
      end(errorCode(error));
      throw error;
    }
  }

  return {
    keeps,
    scope(tracking, name, work) {
      const current = currentSpanOf(tracking);
      const above = current ?? traceOf(tracking);
      const isTold = isKept(above.traceId, sample) && (current !== undefined || looks.allow(tracking));
      return isTold ? live({ name, attributes: {} }, { tracking, ...above }, work) : runTracked({ tracking }, work);
    },
    around(name, attributes, work) {
      const tracked = currentlyTracked();
      if (!tracked?.span) return work();
      return live({ name, attributes }, { tracking: tracked.tracking, ...tracked.span }, work);
    },
    request(answered) {
      const ref = refOfRequest(answered);
      if (!isKept(ref.traceId, sample)) return;
      const { name, start, end, error, attributes, tracking } = answered;
      const parent = tracking === undefined ? undefined : traceOf(tracking).spanId;
      const links = linkOf(answered.traceparent);
      processor.onEnd(toSpan({ name, ref, parent, start, end, error, attributes, links, kind: SpanKind.SERVER }));
    },
    async deliver(stages, signal) {
      for (let at = 0; at < stages.length; at += mostAtOnce) {
        await exported(
          exporter,
          stages
            .slice(at, at + mostAtOnce)
            .map(factsOfStage)
            .map(toSpan),
          signal,
        );
      }
    },
    async stop(deadlineMs) {
      const stopped = processor.shutdown().catch(() => undefined);
      const waiting = new AbortController();
      await Promise.race([stopped, clock.sleep(deadlineMs, waiting.signal)]);
      waiting.abort();
      // A request that hangs would keep the process from ending.
      destroy();
    },
  };
}

/** So many looks at each thing in a minute. */
function createAllowance(clock: Clock): { allow(tracking: TrackingId): boolean } {
  const counts = new Map<TrackingId, number>();
  let since = clock.now();
  return {
    allow(tracking) {
      if (clock.now() - since >= lookMs || counts.size >= mostLookedAt) {
        counts.clear();
        since = clock.now();
      }
      const count = (counts.get(tracking) ?? 0) + 1;
      counts.set(tracking, count);
      return count <= mostLooks;
    },
  };
}

type Below = SpanRef & { readonly tracking: TrackingId };

/** Work for a thing inside other work for the same thing is a part of that. */
function currentSpanOf(tracking: TrackingId): SpanRef | undefined {
  const tracked = currentlyTracked();
  return tracked?.tracking === tracking ? tracked.span : undefined;
}

/** By the trace's id alone, so that every process decides alike. */
const isKept = (traceId: string, sample: number): boolean =>
  sample >= 1 || Number.parseInt(traceId.slice(0, 8), 16) < sample * 2 ** 32;

/** Only its code or kind: what an error says may quote what it failed at. */
const errorCode = (error: unknown): string =>
  isLockstepError(error) ? error.code : error instanceof Error ? error.name : "unknown";

function factsOfStage(stage: Stage): SpanFacts {
  const { tracking, key, parent = rootKey, name, start, end, error, attributes, links = [] } = stage;
  const { traceId } = traceOf(tracking);
  const idOf = (each: string) => (each === rootKey ? traceOf(tracking).spanId : spanIdOf(tracking, each));
  return {
    ...{ name, start, end: Math.max(start, end), error, links: links.map(traceOf) },
    ref: { traceId, spanId: idOf(key) },
    parent: key === rootKey ? undefined : idOf(parent),
    attributes: { ...attributes, "lockstep.tracking": tracking },
  };
}

function refOfRequest({ tracking }: AnsweredRequest): SpanRef {
  const spanId = randomBytes(8).toString("hex");
  return { spanId, traceId: tracking === undefined ? randomBytes(16).toString("hex") : traceOf(tracking).traceId };
}

/** A caller's own trace is referred to and never gone on with: it would decide what is kept, and could mix up traces. */
function linkOf(traceparent: string | undefined): SpanRef[] {
  const [, traceId = "", spanId = ""] =
    /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/.exec(traceparent ?? "") ?? [];
  return /[1-9a-f]/.test(traceId) && /[1-9a-f]/.test(spanId) ? [{ traceId, spanId }] : [];
}

function createSpanMaker({ version, instance }: Deps["service"]): (facts: SpanFacts) => ReadableSpan {
  const resource = resourceFromAttributes({
    [ATTR_SERVICE_NAME]: "lockstep",
    [ATTR_SERVICE_VERSION]: version,
    "service.instance.id": instance,
  });
  const instrumentationScope = { name: "lockstep", version };
  return ({ name, ref, parent, kind = SpanKind.INTERNAL, start, end, error, attributes, links = [] }) => ({
    ...{ name, kind, resource, instrumentationScope, ended: true, events: [] },
    ...{ droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
    spanContext: () => contextOf(ref),
    ...(parent !== undefined && { parentSpanContext: contextOf({ traceId: ref.traceId, spanId: parent }) }),
    ...{ startTime: hrTime(start), endTime: hrTime(end), duration: hrTime(end - start) },
    status: error === undefined ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: error },
    attributes: Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, shortened(value)])),
    links: links.map((link): Link => ({ context: contextOf(link) })),
  });
}

const contextOf = (ref: SpanRef): SpanContext => ({ ...ref, traceFlags: TraceFlags.SAMPLED });
const shortened = (value: string | number | boolean) =>
  typeof value === "string" ? value.slice(0, mostCharacters) : value;

/** Whole seconds, and nanoseconds besides. */
function hrTime(ms: number): [number, number] {
  const whole = Math.floor(ms / 1_000);
  return [whole, Math.min(Math.round((ms - whole * 1_000) * 1e6), 1e9 - 1)];
}

/** The exporter, with what it did counted, and a way to end what hangs. */
function createExporter({ url, headers, timeoutMs, metrics, log }: Deps) {
  const agents = new Set<HttpAgent>();
  const httpAgentOptions = (protocol: string): HttpAgent => {
    const agent = protocol === "https:" ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
    agents.add(agent);
    return agent;
  };
  const otlp = new OTLPTraceExporter({ url, headers, timeoutMillis: timeoutMs, httpAgentOptions });
  const count = metrics.counter("trace_spans_total", "Spans that the collector took, and those it did not");
  let isAway = false;
  const tell = (isTaken: boolean, error: unknown) => {
    if (isTaken && isAway) log.info({}, "the collector of traces takes spans again");
    if (!isTaken && !isAway) log.warn({ reason: errorCode(error) }, "the collector of traces takes no spans");
    isAway = !isTaken;
  };
  const exporter: SpanExporter = {
    export: (spans, done) =>
      otlp.export(spans, (result) => {
        count({ outcome: result.code === 0 ? "sent" : "failed" }, spans.length);
        tell(result.code === 0, result.error);
        done(result);
      }),
    shutdown: () => otlp.shutdown(),
  };
  return {
    exporter,
    destroy() {
      for (const agent of agents) {
        agent.destroy();
        // The exporter tries again what was cut off, and would wait for that as long as for the first time.
        agent.createConnection = () => {
          throw new Error("the process ends");
        };
      }
    },
  };
}

/** Resolves when the collector has them. Throws when it has not taken them, or when the signal does not wait any longer. */
function exported(exporter: SpanExporter, spans: ReadableSpan[], signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(new Error("stopped before the collector of traces answered"));
    signal?.addEventListener("abort", leave, { once: true });
    if (signal?.aborted) return leave();
    exporter.export(spans, ({ code, error }) => {
      signal?.removeEventListener("abort", leave);
      if (code === 0) resolve();
      // The exporter's own error may quote what the collector answered.
      else reject(new Error(`the collector of traces did not take spans: ${errorCode(error)}`));
    });
  });
}
