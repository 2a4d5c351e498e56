import type { Show, ShownEvent } from "./shown.ts";
import type { EventStore } from "./store.ts";

/** Events that are read at a time. */
export const pageSize = 200;

/** Pages that are kept for others who come from the same position. */
const mostPages = 16;
/** What is kept of the newest events. */
const mostRecent = 1_000;
const mostCharacters = 4 * 1024 * 1024;

/** Events that follow a position; with them everything up to `upTo` is known. */
export type EventPage = { readonly events: readonly ShownEvent[]; readonly upTo: bigint };

/** Reads pages of the past. Many that come back from one position are one read. */
export function createPages(deps: {
  store: Pick<EventStore, "readAll" | "bounds">;
  show: Show;
}): (after: bigint) => Promise<EventPage> {
  const pages = new Map<bigint, Promise<EventPage>>();

  async function read(after: bigint): Promise<EventPage & { readonly full: boolean }> {
    let events = await deps.store.readAll(after, pageSize);
    if (events.length === 0) {
      const { last } = await deps.store.bounds();
      events = await deps.store.readAll(after, pageSize);
      // Between two events there may be positions that none was given.
      if (events.length === 0) return { events: [], upTo: last > after ? last : after, full: false };
    }
    const shown = await deps.show(events);
    return { events: shown, upTo: events.at(-1)?.position ?? after, full: events.length === pageSize };
  }

  return (after) => {
    const known = pages.get(after);
    if (known) return known;
    const page = read(after).then(
      (found) => {
        // Only a full page stays as it is.
        if (!found.full) pages.delete(after);
        return found;
      },
      (error: unknown) => {
        pages.delete(after);
        throw error;
      },
    );
    pages.set(after, page);
    const [oldest] = pages.keys();
    if (pages.size > mostPages && oldest !== undefined) pages.delete(oldest);
    return page;
  };
}

/** The newest events, so that who is nearly there needs no further page. */
export type Recent = {
  restart(position: bigint): void;
  add(events: readonly ShownEvent[], upTo: bigint): void;
  /** Every shown event after the position; undefined when some may be missing. */
  after(position: bigint): readonly ShownEvent[] | undefined;
};

export function createRecent(): Recent {
  let events: ShownEvent[] = [];
  let characters = 0;
  /** All shown events after this one are here. */
  let start = 0n;

  function trim(): void {
    let count = 0;
    while (events.length - count > mostRecent || characters > mostCharacters) {
      const oldest = events[count];
      if (oldest === undefined) break;
      characters -= oldest.text.length;
      start = oldest.position;
      count += 1;
    }
    if (count > 0) events = events.slice(count);
  }

  return {
    restart(position) {
      [events, characters, start] = [[], 0, position];
    },
    add(more) {
      events.push(...more);
      for (const { text } of more) characters += text.length;
      trim();
    },
    after(position) {
      if (position < start) return undefined;
      return events.filter((event) => event.position > position);
    },
  };
}
