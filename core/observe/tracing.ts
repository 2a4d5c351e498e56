import { runTracked, type Scope, type TrackingId } from "./tracking.ts";

/** Short facts in the open: names, numbers, codes, what is public on a chain. Never a payload, calldata, key or secret. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** A part of the way of a message or a swap, between two facts that are stored. Times in Unix milliseconds. */
export type Stage = {
  readonly tracking: TrackingId;
  /** Tells it from the others of its trace, for ever; `root` is the one that all others are below. */
  readonly key: string;
  /** The key of the stage that it is a part of; the root where this is left out. */
  readonly parent?: string;
  readonly name: string;
  readonly start: number;
  readonly end: number;
  /** The code of what went wrong. */
  readonly error?: string;
  readonly attributes: SpanAttributes;
  /** What its time is counted under: its lane, or a swap's two chains, `alpha→beta`; left out of what is no stage. */
  readonly route?: string;
  /** What else was worked for at the same time, with a trace of its own: a transaction that carries many messages. */
  readonly links?: readonly TrackingId[];
};

/** The key of a trace's first span. */
export const rootKey = "root";

/** A request that was answered. */
export type AnsweredRequest = {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  /** What came of it, where that has a trace. */
  readonly tracking?: TrackingId | undefined;
  /** The caller's own span, as it was sent (W3C `traceparent`). */
  readonly traceparent?: string | undefined;
  readonly error?: string | undefined;
  readonly attributes: SpanAttributes;
};

/** Tells of work while it is done. */
export type Tracer = {
  /** Runs work as a span in the trace of what it is for. */
  readonly scope: Scope;
  /** Runs work as a span below the one around it; where there is none, only runs it. */
  around<T>(name: string, attributes: SpanAttributes, work: () => Promise<T>): Promise<T>;
};

/** Where nothing is traced: the log alone knows what is worked for. */
export const untraced: Tracer = {
  scope: (tracking, _name, work) => runTracked({ tracking }, work),
  around: (_name, _attributes, work) => work(),
};

/** Tells a collector what happens. None of this throws or waits for the collector, but `deliver` and `stop`. */
export type Tracing = Tracer & {
  /** Whether what is tracked is one of those that are traced; the same answer in every process. */
  keeps(tracking: TrackingId): boolean;
  request(answered: AnsweredRequest): void;
  /** Hands stages to the collector; throws a retryable error when it did not take them. */
  deliver(stages: readonly Stage[], signal?: AbortSignal): Promise<void>;
  /** Hands over what is left, for as long as `deadlineMs`; then lets go of it. */
  stop(deadlineMs: number): Promise<void>;
};
