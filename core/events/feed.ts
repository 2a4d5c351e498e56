import { bulkhead } from "cockatiel";
import { systemClock } from "../kernel/clock.ts";
import { LockstepError } from "../kernel/errors.ts";
import { type Loop, startLoop } from "../kernel/loop.ts";
import type { Log } from "../observe/log.ts";
import { type EventFilter, select } from "./filter.ts";
import { createMembers, type FeedReader, type Member, type MembersOptions, type Subscriber } from "./members.ts";
import { createPages, createRecent, pageSize } from "./pages.ts";
import type { Show, ShownEvent } from "./shown.ts";
import type { EventStore } from "./store.ts";

export type FeedOptions = Partial<Omit<MembersOptions, "log">> & {
  readonly store: Pick<EventStore, "readAll" | "onAppended" | "bounds">;
  readonly show: Show;
  readonly log: Log;
  /** The restore in which the events up to and beyond this position were lost; undefined for one that still stands. */
  lostAt?(position: bigint): Promise<{ readonly position: bigint } | undefined>;
};

export type Feed = {
  start(): void;
  /** Sends everybody away. */
  stop(): Promise<void>;
  /**
   * Where a reader that wants what comes after `after` begins; without one, at what comes next. Throws
   * `event-position-unknown`, `event-position-lost`, `event-position-gone`, `streams-full`, `too-many-streams` or `shutting-down`.
   */
  open(after: bigint | undefined, subscriber: Subscriber): Promise<bigint>;
  /** Gives the reader everything after the position. Answers the way to leave. */
  join(reader: FeedReader, wanted: FeedWish): () => void;
  readers(): number;
};

type FeedWish = { readonly after: bigint; readonly filter: EventFilter; readonly subscriber: Subscriber };

/** Readers for each millisecond that new events are gathered, so that many are not written to for each event. */
const readersPerMs = 40;
const longestGatherMs = 50;

/**
 * One reader of the event store for all connections of a process: each event is read, shown and put into bytes once. A
 * connection gets each event after its position once and in order: from the store in pages while it is behind, and as
 * they come from then on. Nothing is read while nobody is there.
 */
export function createFeed(options: FeedOptions): Feed {
  const { store, show, log, clock = systemClock } = options;
  const members = createMembers({
    ...{ beatMs: 15_000, maxAgeMs: 3_600_000, mostBuffered: 1024 * 1024, mostReaders: 5_000, mostPerSubscriber: 100 },
    endedKeys: async () => new Set(),
    ...options,
    clock,
  });
  const recent = createRecent();
  const readPage = createPages({ store, show });
  const turns = bulkhead(4, Number.MAX_SAFE_INTEGER);
  const stopping = new AbortController();
  /** Everything up to here was given to live members; undefined while nobody is there. */
  let position: bigint | undefined;
  let opening: Promise<bigint> | undefined;
  let loop: Loop | undefined;
  let unsubscribe: () => void = () => undefined;

  /** Begins to follow the store, if nobody has made it. */
  function follow(): Promise<bigint> {
    if (position !== undefined) return Promise.resolve(position);
    opening ??= store
      .bounds()
      .then(({ last }) => {
        recent.restart(last);
        position = last;
        loop?.wake();
        return last;
      })
      .finally(() => {
        opening = undefined;
      });
    return opening;
  }

  function broadcast(events: readonly ShownEvent[], upTo: bigint): void {
    recent.add(events, upTo);
    position = upTo;
    const selected = new Map<string, readonly ShownEvent[]>();
    for (const member of members.all) {
      if (!member.live) continue;
      let wanted = selected.get(member.key);
      if (wanted === undefined) {
        wanted = select(events, member.filter);
        selected.set(member.key, wanted);
      }
      members.give(member, wanted, upTo);
    }
  }

  async function step(signal: AbortSignal) {
    if (members.count() === 0) position = undefined;
    if (position === undefined) return "idle";
    const events = await store.readAll(position, pageSize);
    const last = events.at(-1);
    if (!last) return "idle";
    broadcast(await show(events), last.position);
    const gatherMs = Math.min(longestGatherMs, Math.floor(members.all.size / readersPerMs));
    if (gatherMs > 0) await clock.sleep(gatherMs, signal);
    return "continue";
  }

  /** True when the member gets from now on what is new. */
  function goLive(member: Member): boolean {
    member.live = position !== undefined && member.position >= position;
    return member.live;
  }

  /** Sends what is past a little at a time, and never more than the reader has room for. */
  async function catchUp(member: Member): Promise<void> {
    while (members.all.has(member) && !goLive(member)) {
      const near = position === undefined ? undefined : recent.after(member.position);
      const page =
        near && position ? { events: near, upTo: position } : await turns.execute(() => readPage(member.position));
      for (const slice of slicesOf(select(page.events, member.filter))) {
        if (!members.all.has(member)) return;
        member.reader.send(slice);
        member.position = slice.at(-1)?.position ?? member.position;
        await members.drained(member);
      }
      if (page.upTo > member.position) member.position = page.upTo;
    }
  }

  return {
    start() {
      loop = startLoop({
        step: (signal) => step(signal).catch(asRetryable),
        ...{ clock, idleMs: 1_000 },
        onError: (error, { retryInMs }) =>
          log.error({ err: error, retry_in_ms: retryInMs }, "events are not read for streams, trying again"),
      });
      unsubscribe = store.onAppended(loop.wake);
      void members.watch(stopping.signal);
    },
    async stop() {
      stopping.abort();
      unsubscribe();
      for (const member of members.all) members.sendAway(member, "shutting-down");
      await loop?.stop();
    },
    async open(after, subscriber) {
      if (stopping.signal.aborted) throw new LockstepError("shutting-down", "this process is stopping");
      const release = members.reserve(subscriber);
      try {
        const now = await follow();
        if (after !== undefined) {
          await assertKept(store, after, now);
          await assertNotLost(after, options.lostAt);
        }
        return after ?? position ?? now;
      } finally {
        release();
      }
    },
    join(reader, { after, filter, subscriber }) {
      const member = members.add(reader, { filter, subscriber, position: after });
      if (stopping.signal.aborted) members.sendAway(member, "shutting-down");
      void follow()
        .then(() => catchUp(member))
        .catch((error: unknown) => {
          log.error({ err: error }, "a stream could not be brought up to date");
          members.sendAway(member, "internal");
        });
      return () => members.leave(member);
    },
    readers: () => members.all.size,
  };
}

/** Characters of events that are sent to a reader at a time while it is behind. */
const sliceLength = 65_536;

/** The events in parts that are not long; the same array where one is enough. */
function slicesOf(events: readonly ShownEvent[]): (readonly ShownEvent[])[] {
  const slices: ShownEvent[][] = [];
  let length = sliceLength;
  for (const event of events) {
    if (length >= sliceLength) {
      slices.push([]);
      length = 0;
    }
    slices.at(-1)?.push(event);
    length += event.text.length;
  }
  return slices.length === 1 ? [events] : slices;
}

/** What cannot be shown today can be after the next release: no error of one event ends the reading for good. */
function asRetryable(error: unknown): never {
  throw new Error("reading events failed", { cause: error });
}

/** What a reader has seen up to there was lost, and other things have happened since: it has to know. */
async function assertNotLost(after: bigint, lostAt: FeedOptions["lostAt"]): Promise<void> {
  const lost = await lostAt?.(after);
  if (!lost) return;
  throw new LockstepError(
    "event-position-lost",
    `after: the database was restored from a backup that ends with ${lost.position}; what came up to ${after} was lost`,
    { details: { field: "after", restoredTo: lost.position } },
  );
}

async function assertKept(store: Pick<EventStore, "bounds">, after: bigint, now: bigint): Promise<void> {
  const { first, last } = await store.bounds();
  if (after > last && after > now) {
    throw new LockstepError("event-position-unknown", `after: no event has come after ${after}; the last is ${last}`, {
      details: { field: "after", last },
    });
  }
  if (after !== 0n && after < first - 1n) {
    throw new LockstepError(
      "event-position-gone",
      `after: events up to ${first - 1n} have left for the archive, at least in part; ask for what comes after that, or for all that is left with 0`,
      {
        details: { field: "after", first },
      },
    );
  }
}
