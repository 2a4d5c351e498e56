import type { ShownEvent } from "./shown.ts";

/** Which events a reader wants; all where nothing is said. What is said of several things has to hold together. */
export type EventFilter = {
  readonly kind?: readonly string[] | undefined;
  readonly type?: readonly string[] | undefined;
  readonly subject?: string | undefined;
  readonly chain?: string | undefined;
  readonly lane?: string | undefined;
};

/** Equal for filters that want the same. */
export function filterKey({ kind, type, subject, chain, lane }: EventFilter): string {
  const all = [kind?.toSorted(), type?.toSorted(), subject, chain, lane];
  return all.every((each) => each === undefined) ? "" : JSON.stringify(all.map((each) => each ?? null));
}

/** The events that are wanted; the same array where nothing is filtered, so that it is put into bytes once. */
export function select(events: readonly ShownEvent[], filter: EventFilter): readonly ShownEvent[] {
  if (filterKey(filter) === "") return events;
  return events.filter((event) => isWanted(event, filter));
}

function isWanted(event: ShownEvent, { kind, type, subject, chain, lane }: EventFilter): boolean {
  return (
    (kind === undefined || kind.includes(event.kind)) &&
    (type === undefined || type.includes(event.type)) &&
    (subject === undefined || subject === event.subject) &&
    (chain === undefined || event.chains.includes(chain)) &&
    (lane === undefined || lane === event.lane)
  );
}
