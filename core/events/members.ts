import type { Clock } from "../kernel/clock.ts";
import { LockstepError } from "../kernel/errors.ts";
import type { Log } from "../observe/log.ts";
import { type EventFilter, filterKey } from "./filter.ts";
import type { ShownEvent } from "./shown.ts";

/** Why a reader is sent away. Except without credentials it may come back at once, from the last event it got. */
export type EndCode = "reader-too-slow" | "stream-expired" | "unauthorized" | "shutting-down" | "internal";

/** A connection that gets events. Nothing of it may throw. */
export type FeedReader = {
  /** In order, never empty. Readers that want the same are given the same array. */
  send(events: readonly ShownEvent[]): void;
  /** Nothing has come for a while; every event that is wanted up to this position was sent. */
  beat(position: bigint): void;
  /** Bytes that were sent and have not left yet. */
  buffered(): number;
  /** Resolves when there is room for more, or it is closed. */
  drained(): Promise<void>;
  /** The last thing that it is told. */
  end(code: EndCode): void;
};

/** Who reads. */
export type Subscriber = {
  readonly id: string;
  /** The API key that proved it. */
  readonly key?: string | undefined;
  /** When the proof ends, in milliseconds since 1970. */
  readonly until?: number | undefined;
};

export type Member = {
  readonly reader: FeedReader;
  readonly filter: EventFilter;
  /** Equal for members that want the same. */
  readonly key: string;
  readonly subscriber: Subscriber;
  /** When it has to come anew, in milliseconds since 1970. */
  readonly until: number;
  /** Everything that it wants up to here was sent. */
  position: bigint;
  /** Gets what is new; until then it is brought there from the store. */
  live: boolean;
  /** Signs of life in a row at which something had not left. */
  stuck: number;
};

export type MembersOptions = {
  readonly log: Log;
  readonly clock: Clock;
  /** Those of the API keys that prove nothing any more. */
  readonly endedKeys: (ids: readonly string[]) => Promise<ReadonlySet<string>>;
  /** Milliseconds between two signs of life. */
  readonly beatMs: number;
  /** Milliseconds after which a reader has to come anew, and prove again who it is. */
  readonly maxAgeMs: number;
  /** Bytes that may wait for one reader. */
  readonly mostBuffered: number;
  readonly mostReaders: number;
  readonly mostPerSubscriber: number;
};

/** Who is there, and how much of what was sent they have not taken. */
export type Members = {
  readonly all: ReadonlySet<Member>;
  /** Holds a place while one more is let in. Throws `streams-full` or `too-many-streams`. */
  reserve(subscriber: Subscriber): () => void;
  /** Members, and those who are being let in. */
  count(): number;
  add(reader: FeedReader, wanted: Pick<Member, "filter" | "subscriber" | "position">): Member;
  leave(member: Member): void;
  sendAway(member: Member, code: EndCode): void;
  /** Gives a member what is new to it; sends it away when too much has not left. */
  give(member: Member, events: readonly ShownEvent[], upTo: bigint): void;
  /** Waits until the reader has taken what it was sent, and sends it away when it does not. */
  drained(member: Member): Promise<void>;
  /** Gives signs of life, and sends away whose time is over, until the signal. */
  watch(signal: AbortSignal): Promise<void>;
};

/** Signs of life that a reader may leave lying. */
const mostStuck = 4;

/** Milliseconds between two looks at whose credentials have ended. */
const checkMs = 2_000;

export function createMembers(options: MembersOptions): Members {
  const { log, clock, beatMs, maxAgeMs, mostBuffered, mostReaders, mostPerSubscriber } = options;
  const all = new Set<Member>();
  /** Places by subscriber. */
  const places = new Map<string, number>();
  let entering = 0;

  const occupy = ({ id }: Subscriber, change: 1 | -1) => {
    const now = (places.get(id) ?? 0) + change;
    if (now > 0) places.set(id, now);
    else places.delete(id);
  };
  function leave(member: Member): boolean {
    if (!all.delete(member)) return false;
    occupy(member.subscriber, -1);
    return true;
  }
  const sendAway = (member: Member, code: EndCode) => {
    if (leave(member)) member.reader.end(code);
  };

  async function endUnproven(): Promise<void> {
    const keys = new Set([...all].flatMap(({ subscriber: { key } }) => key ?? []));
    if (keys.size === 0) return;
    const ended = await options.endedKeys([...keys]);
    for (const member of all) if (ended.has(member.subscriber.key ?? "")) sendAway(member, "unauthorized");
  }

  function endOld(): void {
    const now = clock.now();
    for (const member of all) {
      if (now >= (member.subscriber.until ?? now + 1)) sendAway(member, "unauthorized");
      else if (now >= member.until) sendAway(member, "stream-expired");
    }
  }

  function beat(): void {
    for (const member of all) {
      member.stuck = member.reader.buffered() > 0 ? member.stuck + 1 : 0;
      if (member.stuck > mostStuck) sendAway(member, "reader-too-slow");
      else if (member.live) member.reader.beat(member.position);
    }
  }

  return {
    all,
    count: () => all.size + entering,
    reserve(subscriber) {
      if (all.size + entering >= mostReaders) {
        throw new LockstepError("streams-full", `${all.size} streams are open already`);
      }
      if ((places.get(subscriber.id) ?? 0) >= mostPerSubscriber) {
        throw new LockstepError("too-many-streams", `a caller may have ${mostPerSubscriber} streams open`);
      }
      entering += 1;
      occupy(subscriber, 1);
      return () => {
        entering -= 1;
        occupy(subscriber, -1);
      };
    },
    add(reader, wanted) {
      const until = clock.now() + maxAgeMs * (0.9 + Math.random() / 10);
      const member: Member = { ...wanted, reader, key: filterKey(wanted.filter), until, live: false, stuck: 0 };
      all.add(member);
      occupy(member.subscriber, 1);
      return member;
    },
    leave: (member) => void leave(member),
    sendAway,
    give(member, events, upTo) {
      const ahead = (events[0]?.position ?? 0n) <= member.position;
      const fresh = ahead ? events.filter((event) => event.position > member.position) : events;
      if (upTo > member.position) member.position = upTo;
      if (fresh.length > 0) member.reader.send(fresh);
      if (member.reader.buffered() > mostBuffered) sendAway(member, "reader-too-slow");
    },
    async drained(member) {
      if (member.reader.buffered() === 0) return;
      const done = new AbortController();
      const late = clock.sleep(mostStuck * beatMs, done.signal).then(() => {
        if (!done.signal.aborted) sendAway(member, "reader-too-slow");
      });
      await Promise.race([member.reader.drained().finally(() => done.abort()), late]);
    },
    async watch(signal) {
      let beatAt = clock.now() + beatMs;
      while (!signal.aborted) {
        await clock.sleep(Math.max(0, Math.min(checkMs, beatAt - clock.now())), signal);
        if (signal.aborted) return;
        endOld();
        if (clock.now() >= beatAt) {
          beatAt = clock.now() + beatMs;
          beat();
        }
        await endUnproven().catch((error: unknown) =>
          log.warn({ err: error }, "it cannot be told whose credentials have ended, trying again"),
        );
      }
    },
  };
}
