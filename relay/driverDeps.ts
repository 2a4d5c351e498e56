import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Log } from "#core/observe/log.ts";
import type { Tracer } from "#core/observe/tracing.ts";
import type { Sender } from "#core/sender/sender.ts";
import type { Authorize } from "./authority.ts";
import type { RecentContents } from "./contents.ts";
import type { DryRun } from "./dryRun.ts";
import type { Lanes, WayOfDelivery } from "./lane.ts";
import type { Policy } from "./policy.ts";
import type { ValidatorBook } from "./validators.ts";

/** What delivering a lane's messages stands on. */
export type DriverDeps = {
  db: Db;
  store: EventStore;
  sender: Sender;
  lanes: Pick<Lanes, "find">;
  contents: RecentContents;
  /** What makes a destination believe a batch, by the lane's way of delivery. */
  authorities: Readonly<Record<WayOfDelivery, Authorize>>;
  book: ValidatorBook;
  policy: Policy;
  dryRun: DryRun;
  clock: Clock;
  log: Log;
  /** Tells of work while it is done. */
  tracer: Tracer;
  /** Managed account that pays. */
  account: string;
  maxBatch: number;
  /** From 0 to 1; spreads attempts that failed together. */
  random(): number;
};
