import { AsyncLocalStorage } from "node:async_hooks";
import { createHash } from "node:crypto";

/**
 * The one id of all that happens to a message or a swap, in every process and after every restart: the name of its event
 * stream, such as `swap-…`. Logs carry it, and the ids of its trace derive from it, so that neither has to be stored or
 * handed on, in jobs least of all.
 */
export type TrackingId = string;

/** The ids of a trace as W3C has them: 32 and 16 hexadecimal digits. */
export type SpanRef = { readonly traceId: string; readonly spanId: string };

/** What the code that runs now works for; `span` is the one around it, where that is traced. */
export type Tracked = { readonly tracking: TrackingId; readonly span?: SpanRef };

/** Runs work that is of one message, swap or transaction, under a name for people. */
export type Scope = <T>(tracking: TrackingId, name: string, work: () => Promise<T>) => Promise<T>;

/** `fields`: once something was logged. */
const now = new AsyncLocalStorage<{ readonly tracked: Tracked; fields?: TrackingFields }>();

export const currentlyTracked = (): Tracked | undefined => now.getStore()?.tracked;

/** Runs work so that whatever is logged meanwhile carries the tracking id. */
export const runTracked = <T>(tracked: Tracked, work: () => T): T => now.run({ tracked }, work);

const digest = (text: string): string => createHash("sha256").update(text).digest("hex");

/** The trace of what is tracked, and its first span, which all others are below. */
export function traceOf(tracking: TrackingId): SpanRef {
  const hex = digest(tracking);
  return { traceId: hex.slice(0, 32), spanId: hex.slice(32, 48) };
}

/** The same span whoever makes it, and however often. `key` tells it from the others of its trace. */
export const spanIdOf = (tracking: TrackingId, key: string): string => digest(`${tracking} ${key}`).slice(0, 16);

/** What a line of the log says of the thing that it is about. */
type TrackingFields = { readonly tracking: TrackingId; readonly trace_id: string };

export const trackingFields = (tracking: TrackingId): TrackingFields => ({
  tracking,
  trace_id: traceOf(tracking).traceId,
});

/** The same for what is worked for now; made once, however many lines there are. */
export function currentFields(): TrackingFields | undefined {
  const current = now.getStore();
  if (!current) return undefined;
  current.fields ??= trackingFields(current.tracked.tracking);
  return current.fields;
}
