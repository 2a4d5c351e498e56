import type { ServiceConfig } from "#core/config/service.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { IndexerStatus } from "#core/indexer/createIndexer.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Log } from "#core/observe/log.ts";
import type { Recovery } from "#swap";

/** Something of a process that is started and stopped with it. */
export type Part = { start(): void | Promise<void>; stop(): Promise<void> };

/** A process of the service with the roles of its configuration. */
export type Service = {
  /** Resolves when it is at work; what it opened is closed again when a part fails. */
  start(): Promise<void>;
  /**
   * Ends in order: it says that it is not ready, gives its work to others, finishes the requests it has, then closes queue,
   * database and chains.
   */
  stop(): Promise<void>;
  /** Resolves with the reason when something failed that only a person can mend. */
  readonly halted: Promise<unknown>;
  /** What it goes by at present: some of it may change while it runs. */
  config(): ServiceConfig;
  readonly recovery: Recovery;
  /** The server of the API, which does not listen: for asking it from inside the process. */
  http(): Promise<HttpServer>;
  /** How far each chain is read. */
  indexed(): IndexerStatus[];
};

/** What all stands on, what goes on by itself, and what others ask: each stands on the one before. */
export type Parts = {
  readonly ground: readonly Part[];
  readonly work: readonly Part[];
  readonly front: readonly Part[];
};

type Drained = {
  /** Resolves, with who asked for it, once the process is to give its work up. */
  readonly drainAsked: Promise<string>;
  drain(by: string): Promise<void>;
};

/**
 * Starts parts in order and stops them in reverse, each even when another one fails to. Asked to drain, the process gives
 * its work up and goes on answering; it drains before it stops, for as long as others need to hear that it is not ready.
 * `onFailed` hears why a start failed, before the parts are stopped again, which may hang.
 */
export function createLifecycle(
  { ground, work, front }: Parts,
  deps: {
    fleet: Drained;
    drainMs: () => number;
    onStarted?: () => void;
    onFailed?: ((error: unknown) => void) | undefined;
    clock: Clock;
    log: Log;
  },
): Pick<Service, "start" | "stop"> {
  const { fleet, drainMs, clock, log } = deps;
  let idle: Promise<void> | undefined;

  async function stopAll(parts: readonly Part[]): Promise<void> {
    for (const part of parts.toReversed()) {
      await part.stop().catch((error: unknown) => log.error({ err: error }, "a part did not stop in order"));
    }
  }

  function drain(by: string): Promise<void> {
    idle ??= Promise.allSettled([fleet.drain(by), stopAll(work)]).then(() => log.info({}, "gave its work up"));
    return idle;
  }

  async function stop(): Promise<void> {
    await Promise.all([drain("the operating system"), clock.sleep(drainMs())]);
    await stopAll(front);
    await stopAll(ground);
    log.info({}, "stopped");
  }

  return {
    async start() {
      try {
        for (const part of [...ground, ...work, ...front]) await part.start();
        void fleet.drainAsked.then(drain);
        deps.onStarted?.();
        log.info({}, "started");
      } catch (error) {
        deps.onFailed?.(error);
        await Promise.all([stopAll(front), stopAll(work)]);
        await stopAll(ground);
        throw error;
      }
    },
    stop,
  };
}
