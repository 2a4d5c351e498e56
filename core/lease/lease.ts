import type { Db } from "../db/db.ts";

/** Something that one process at a time may do. */
export type LeasedWork = { start(): void | Promise<void>; stop(): Promise<void> };

/** The right to be the one process that does something, which passes to another when this one is silent for too long. */
export type Lease = {
  readonly name: string;
  /**
   * The database for what only the holder may write: its transactions fail with `lease-lost` from the moment on in which
   * somebody else has the lease, however long this process was away in between. `query` is for reading.
   */
  readonly db: Db;
  /** Whether this process holds it, as far as it knows. */
  isHeld(): boolean;
  /** Starts the work whenever this process gets the lease, and stops it when the lease is gone. */
  contend(work: LeasedWork): void;
  /** Stops the work, then gives the lease to whoever wants it. */
  leave(): Promise<void>;
};

export type Leases = { of(name: string): Lease };

/** For a process that is alone: everything is its own, and nothing is fenced. */
export function alwaysHeld(db: Db): Leases {
  return {
    of(name) {
      let working: LeasedWork | undefined;
      return {
        name,
        db,
        isHeld: () => working !== undefined,
        contend(work) {
          working = work;
          void work.start();
        },
        async leave() {
          const before = working;
          working = undefined;
          await before?.stop();
        },
      };
    },
  };
}
