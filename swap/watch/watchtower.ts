import { z } from "zod";
import type { KeyStore } from "#core/chain/keys.ts";
import type { WatchtowerConfig } from "#core/config/service.ts";
import type { Db, Tx } from "#core/db/db.ts";
import type { EventStore, StoredEvent } from "#core/events/store.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Log } from "#core/observe/log.ts";
import type { Tracer } from "#core/observe/tracing.ts";
import { type Job, type JobHandler, jobId, parseJob } from "#core/queue/queue.ts";
import type { Sender } from "#core/sender/sender.ts";
import type { SwapChains } from "../chains.ts";
import type { LedgerNews } from "../locks/ledger.ts";
import { createScheduler } from "../scheduler.ts";
import { createLockRoutes } from "./api.ts";
import { createWatchDriver } from "./driver.ts";
import { createLedgerNews } from "./ledgerNews.ts";
import { createLockReader } from "./reader.ts";
import { createWatchIndex } from "./readModel.ts";
import { createRecovery, type Recovery } from "./recovery.ts";
import { createWatchRequester } from "./request.ts";

const watchJob = "watch.advance";
const jobData = z.strictObject({ watch: jobId });

/** Drives locks that belong to no swap here to their end: those that somebody asks for, and those of managed accounts. */
export type Watchtower = {
  readonly news: LedgerNews;
  readonly handlers: Readonly<Record<typeof watchJob, JobHandler>>;
  plugin(app: HttpServer): Promise<void>;
  readonly recovery: Recovery;
  start(): void;
  stop(): Promise<void>;
};

/** Throws `account-unknown` when the configured account is not managed. */
export function createWatchtower(deps: {
  db: Db;
  store: EventStore;
  /** Where what the API shows is read from, when it is elsewhere. */
  shown?: { readonly db: Db; readonly store: EventStore };
  sender: Sender;
  chains: SwapChains;
  keyStore: KeyStore;
  admit?(tx: Tx, chains: readonly string[]): Promise<void>;
  /** The same for locks of our own, which are driven while a chain is paused. */
  admitOwn?(tx: Tx, chains: readonly string[]): Promise<void>;
  config: WatchtowerConfig | undefined;
  isHeld?(): Promise<boolean>;
  clock: Clock;
  log: Log;
  tracer: Tracer;
}): Watchtower {
  const { config, keyStore } = deps;
  if (config) keyStore.address(config.account);
  const index = createWatchIndex(deps.db);
  const driver = createWatchDriver({ ...deps, index, account: config?.account });
  const on = config !== undefined;
  const reader = createLockReader({ ...deps, on });
  const shown = createLockReader({ ...deps, ...deps.shown, on });
  const requester = createWatchRequester(deps);
  const scheduler = createScheduler({ ...deps, what: "watch", index, driver });
  return {
    news: createLedgerNews(deps),
    handlers: { [watchJob]: async (data) => driver.advance(parseJob(jobData, data).watch) },
    plugin: createLockRoutes({ reader: shown, requester, chains: deps.chains }),
    recovery: createRecovery({ ...deps, reader, requester }),
    start: scheduler.start,
    stop: scheduler.stop,
  };
}

/** After these there is something to decide; the end of a watch and the start of a step need no look. */
const decisive: ReadonlySet<string> = new Set([
  ...["LockWatched", "WatchStepFailed", "WatchReopened", "IntentFinalized", "IntentAbandoned"],
]);

/** Events of a watch, and of the intents it waits for, ask for one look at it. */
export function watchJobs(event: StoredEvent): Job[] {
  if (!decisive.has(event.type)) return [];
  const stream = event.stream.startsWith("intent-") ? subjectOf(event.data) : event.stream;
  if (!stream?.startsWith("watch-")) return [];
  const watch = stream.slice("watch-".length);
  return [{ id: `${watchJob}-${watch}-${event.position}`, name: watchJob, data: { watch } }];
}

function subjectOf(data: unknown): string | undefined {
  return typeof data === "object" && data !== null && "subject" in data && typeof data.subject === "string"
    ? data.subject
    : undefined;
}
