import type { Tx } from "../db/db.ts";

/** A table whose rows are in backups. */
export type KeptTable = {
  readonly name: string;
  /** What has to be done to the empty table before its rows come. */
  readonly beforehand?: (tx: Tx) => Promise<void>;
  /** What must not come back as it was: statements that run when the rows are there again. */
  readonly afterwards?: string;
};

/** What becomes of every table of the service. */
export type BackupPlan = {
  /** In an order in which they can be filled: whatever rows refer to comes first. */
  readonly kept: readonly KeptTable[];
  /** Tables whose rows are left out, and why. */
  readonly leftOut: Readonly<Record<string, string>>;
  /**
   * Sees to it that events from now on get positions which the lost database can have given to none, and answers after
   * which. `position`: of the last event in the backup.
   */
  readonly resume: (tx: Tx, position: bigint, at: Date) => Promise<bigint>;
};
