import type { Db } from "../db/db.ts";
import { LockstepError } from "../kernel/errors.ts";
import type { Log } from "../observe/log.ts";
import type { Lease, LeasedWork } from "./lease.ts";
import { type Fence, giveUpLease, holdsLease } from "./tables.ts";

/** One lease from the view of one process: whether it has it, and the work that goes by it. */
export type Contender = Lease & {
  /** The hold that it has. */
  fence(): Fence | undefined;
  /** Whether work of an earlier hold still begins or ends: until then the lease must not be taken again. */
  isBusy(): boolean;
  /** Milliseconds since 1970 since when it has wanted the lease; undefined while it does not. */
  wantsSince(): number | undefined;
  win(fence: Fence): void;
  /** Somebody else has it. */
  lose(): void;
  /** Ends the work, then frees the lease: whoever has it next must not meet what went on here. */
  giveUp(): Promise<void>;
};

type Deps = {
  readonly db: Db;
  readonly instance: string;
  now(): number;
  /** It wants the lease from now on, or does not any more. */
  changed(contender: Contender): void;
  readonly log: Log;
};

export function createContender(name: string, { db, instance, now, changed, log }: Deps): Contender {
  let work: LeasedWork | undefined;
  let wantsSince: number | undefined;
  let fence: Fence | undefined;
  let tail: Promise<unknown> = Promise.resolve();
  let turns = 0;

  /** In order with what went before: a start never overtakes the stop of an earlier hold. */
  function inTurn(doing: () => void | Promise<void>): Promise<void> {
    turns++;
    const done = tail
      .then(doing)
      .catch((error: unknown) =>
        log.error({ err: error, lease: name }, "work on a lease did not start or stop in order"),
      )
      .finally(() => {
        turns--;
      });
    tail = done;
    return done;
  }

  const fenced: Db = {
    ...db,
    query: (text, params) => db.query(text, params),
    tx: (inside) =>
      db.tx(async (tx) => {
        if (fence !== undefined && (await holdsLease(tx, fence))) return inside(tx);
        throw new LockstepError("lease-lost", `another process has the lease ${name}`, { details: { lease: name } });
      }),
  };

  const contender: Contender = {
    ...{ name, db: fenced },
    isHeld: () => fence !== undefined,
    fence: () => fence,
    isBusy: () => turns > 0,
    wantsSince: () => wantsSince,
    contend(wanted) {
      work = wanted;
      wantsSince = now();
      changed(contender);
    },
    async leave() {
      wantsSince = undefined;
      await contender.giveUp();
      changed(contender);
    },
    win(won) {
      fence = won;
      log.info({ lease: name, term: won.term }, "lease won");
      void inTurn(() => (fence === won ? work?.start() : undefined));
    },
    lose() {
      log.warn({ lease: name, term: fence?.term }, "lease lost to another process");
      fence = undefined;
      void inTurn(() => work?.stop());
    },
    giveUp: () =>
      inTurn(async () => {
        const held = fence;
        if (held === undefined) return;
        try {
          await work?.stop();
        } finally {
          fence = undefined;
          await giveUpLease(db, held, instance);
        }
        log.info({ lease: name, term: held.term }, "lease given up");
      }),
  };
  return contender;
}
