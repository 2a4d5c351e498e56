import type { HttpServer } from "#core/http/server.ts";
import type { IndexerStatus } from "#core/indexer/createIndexer.ts";
import type { Log } from "#core/observe/log.ts";
import type { Recovery } from "#swap";

/** Something of a process that is started and stopped with it. */
export type Part = { start(): void | Promise<void>; stop(): Promise<void> };

/** A process of the service with the roles of its configuration. */
export type Service = {
  /** Resolves when it is at work; what it opened is closed again when a part fails. */
  start(): Promise<void>;
  /** Ends in order: no new requests, running work finished, then queue, database and chains. */
  stop(): Promise<void>;
  /** Resolves with the reason when something failed that only a person can mend. */
  readonly halted: Promise<unknown>;
  readonly recovery: Recovery;
  /** The server of the API, which does not listen: for asking it from inside the process. */
  http(): Promise<HttpServer>;
  /** How far each chain is read. */
  indexed(): IndexerStatus[];
};

/** Starts parts in order and stops them in reverse, each even when another one fails to. */
export function createLifecycle(parts: readonly Part[], log: Log): Pick<Service, "start" | "stop"> {
  async function stop(): Promise<void> {
    for (const part of parts.toReversed()) {
      await part.stop().catch((error: unknown) => log.error({ err: error }, "a part did not stop in order"));
    }
    log.info({}, "stopped");
  }
  return {
    async start() {
      try {
        for (const part of parts) await part.start();
        log.info({}, "started");
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
  };
}
