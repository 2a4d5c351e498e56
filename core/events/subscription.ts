import type { Db } from "../db/db.ts";
import { type Clock, systemClock } from "../kernel/clock.ts";
import { type Loop, startLoop } from "../kernel/loop.ts";
import type { Log } from "../observe/log.ts";
import type { EventStore, StoredEvent } from "./store.ts";

export type SubscriptionOptions = {
  /** Names the checkpoint; for ever. */
  readonly name: string;
  readonly store: Pick<EventStore, "readAll" | "onAppended">;
  readonly db: Db;
  readonly log: Log;
  /** Gets events in global order, each at least once. The checkpoint moves after it resolved. */
  handle(events: readonly StoredEvent[]): Promise<void>;
  /** Types of events that are passed over unread. */
  readonly except?: readonly string[];
  /** Most events in one batch. */
  readonly batch?: number;
  /** Longest time until a new event is seen when no wake-up arrives, in milliseconds. */
  readonly idleMs?: number;
  readonly clock?: Clock;
  /** Called when it ends for an error that is not retryable. */
  readonly onFatal?: () => void;
};

/** A durable reader of all events. */
export type Subscription = {
  start(): void;
  /** Waits for the running batch; it may be started again. */
  stop(): Promise<void>;
  /** The last position whose event was handled. */
  position(): Promise<bigint>;
  /** Handles everything after this position again, 0 for all. */
  rewind(position: bigint): Promise<void>;
};

/**
 * Several processes may run the same subscription: each event is then handled by at least one of them. The checkpoint
 * only moves from where a batch began, so a rewind or a faster process is never overwritten.
 */
export function createSubscription(options: SubscriptionOptions): Subscription {
  const { name, db, store, batch = 500, idleMs = 1_000, clock = systemClock } = options;
  const log = options.log.child({ subscription: name });
  let loop: Loop | undefined;
  let unsubscribe: () => void = () => undefined;

  const position = async (): Promise<bigint> => {
    const [row] = await db.query<{ position: bigint }>("SELECT position FROM event_subscriptions WHERE name = $1", [
      name,
    ]);
    return row?.position ?? 0n;
  };

  /** Where the checkpoint is now: `to`, unless somebody else has moved it meanwhile. */
  const move = async (from: bigint, to: bigint): Promise<bigint | undefined> => {
    const [row] = await db.query<{ position: bigint }>(
      `INSERT INTO event_subscriptions AS own (name, position) VALUES ($1, $3)
       ON CONFLICT (name) DO UPDATE SET position = $3 WHERE own.position = $2 RETURNING position`,
      [name, from, to],
    );
    return row?.position;
  };

  /** The checkpoint as it was last seen, and when. Others may move it, which is noticed after `idleMs` at the latest. */
  let seen: { readonly position: bigint; readonly at: number } | undefined;
  const checkpoint = async (): Promise<bigint> => {
    if (!seen || clock.now() - seen.at >= idleMs) seen = { at: clock.now(), position: await position() };
    return seen.position;
  };

  const step = async () => {
    const from = await checkpoint();
    const events = await store.readAll(from, batch, options.except);
    const last = events.at(-1);
    if (!last) return "idle";
    await options.handle(events);
    const moved = await move(from, last.position);
    seen = moved === undefined || !seen ? undefined : { ...seen, position: moved };
    // Whatever is appended while this runs wakes the loop.
    return moved !== undefined && events.length < batch ? "idle" : "continue";
  };

  return {
    start() {
      if (loop) return;
      const started = startLoop({
        step,
        clock,
        idleMs,
        onError(error, { failures, fatal, retryInMs }) {
          if (!fatal) log.warn({ err: error, failures, retry_in_ms: retryInMs }, "subscription failed, trying again");
          else {
            log.error({ err: error }, "subscription ended");
            options.onFatal?.();
          }
        },
      });
      loop = started;
      unsubscribe = store.onAppended(started.wake);
    },
    async stop() {
      unsubscribe();
      await loop?.stop();
      loop = undefined;
      seen = undefined;
    },
    position,
    async rewind(to) {
      await db.query(
        `INSERT INTO event_subscriptions (name, position) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET position = $2`,
        [name, to],
      );
      seen = undefined;
      loop?.wake();
    },
  };
}
