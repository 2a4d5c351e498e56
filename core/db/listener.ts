import pg from "pg";
import type { Clock } from "../kernel/clock.ts";
import { LockstepError } from "../kernel/errors.ts";
import type { Log } from "../observe/log.ts";
import { toDatabaseError } from "./failures.ts";
import { clientConfig, type PoolOptions } from "./pool.ts";

/** One connection for every LISTEN of a process. */
export type Listener = {
  /** Resolves once the channel is heard. The callback also runs, with an empty payload, after every reconnection. */
  listen(channel: string, onNotify: (payload: string) => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
};

const maxRetryMs = 5_000;

/**
 * Keeps one connection open while anybody listens, and opens it again when it is lost: what was notified in between is
 * gone, so every callback is called once afterwards. Nobody is ever unlistened: in the embedded database all
 * connections share one session, and it would deafen the others.
 */
export function createListener(deps: { options: PoolOptions; log: Log; clock: Clock }): Listener {
  const { log, clock } = deps;
  const channels = new Map<string, Set<(payload: string) => void>>();
  const stopped = new AbortController();
  let current: Promise<pg.Client> | undefined;
  let tail: Promise<unknown> = Promise.resolve();

  const call = (onNotify: (payload: string) => void, payload: string) => {
    try {
      onNotify(payload);
    } catch (error) {
      log.error({ err: error }, "notification callback failed");
    }
  };

  const open = async (): Promise<pg.Client> => {
    const client = new pg.Client(clientConfig(deps.options));
    let ready = false;
    client.on("error", (error) => log.debug({ err: error }, "listening connection failed"));
    client.once("end", () => {
      if (ready && !stopped.signal.aborted) current = reopen();
    });
    client.on("notification", ({ channel, payload }) => {
      for (const onNotify of channels.get(channel) ?? []) call(onNotify, payload ?? "");
    });
    try {
      await client.connect();
      for (const channel of channels.keys()) await client.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
      ready = true;
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      throw toDatabaseError(error);
    }
  };

  const reopen = async (): Promise<pg.Client> => {
    log.warn({}, "listening connection lost, opening it again");
    for (let delay = 50; !stopped.signal.aborted; delay = Math.min(delay * 2, maxRetryMs)) {
      const client = await open().catch(() => undefined);
      if (client) {
        for (const callbacks of channels.values()) for (const onNotify of callbacks) call(onNotify, "");
        return client;
      }
      await clock.sleep(delay, stopped.signal);
    }
    throw new LockstepError("shutting-down", "The database is being closed");
  };

  // One LISTEN after the other: `pg` wants its caller to wait.
  const hear = (channel: string): Promise<unknown> => {
    const heard = tail.then(async () => {
      current ??= open();
      const client = await current.catch((error: unknown) => {
        current = undefined;
        throw error;
      });
      await client.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
    });
    tail = heard.catch(() => undefined);
    return heard;
  };

  return {
    async listen(channel, onNotify) {
      const callbacks = channels.get(channel) ?? new Set();
      channels.set(channel, callbacks.add(onNotify));
      try {
        await hear(channel);
      } catch (error) {
        callbacks.delete(onNotify);
        throw toDatabaseError(error);
      }
      return async () => {
        callbacks.delete(onNotify);
      };
    },
    async close() {
      stopped.abort();
      const client = await current?.catch(() => undefined);
      await client?.end();
    },
  };
}
