import type { Db, Migration, Queryable } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { LockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import { type Lane, laneName } from "./lane.ts";

/** What a validator has done that an honest one does not. */
export const misbehaviours = [
  /** Its answer is no attestation. */
  "answer-invalid",
  /** Its answer is about another lane, generation or epoch than asked for, or by another signer. */
  "answer-off-subject",
  /** Its answer is not signed by it. */
  "signature-invalid",
  /** It signed something else than the lane's final messages. */
  "contradicts-lane",
  /** It signed two histories. */
  "equivocation",
] as const;
type Misbehaviour = (typeof misbehaviours)[number];

export type MisbehaviourRow = {
  readonly validator: Hex;
  readonly code: Misbehaviour;
  readonly lane: string;
  readonly times: number;
  readonly firstAt: Date;
  readonly lastAt: Date;
};

export const misbehaviourMigrations: readonly Migration[] = [
  {
    id: "relay/014-misbehaviour",
    sql: `
      CREATE TABLE relay_misbehaviour (
        validator text NOT NULL, code text NOT NULL, lane text NOT NULL, times integer NOT NULL,
        first_at timestamptz NOT NULL, last_at timestamptz NOT NULL, PRIMARY KEY (validator, code, lane)
      );
    `,
  },
];

/** Names validators that misbehave: a row for each kind and lane, and one line in the log. Never throws. */
export type MisbehaviourBook = {
  note(validator: { readonly name: string; readonly address: Hex }, code: Misbehaviour, lane: Lane): Promise<void>;
  /** The same for an error that says in its details what it was. */
  noteError(
    validator: { readonly name: string; readonly address: Hex },
    error: LockstepError,
    lane: Lane,
  ): Promise<void>;
};

/** Milliseconds within which the same is not written again. */
const restMs = 10_000;

export function createMisbehaviourBook({ db, clock, log }: { db: Db; clock: Clock; log: Log }): MisbehaviourBook {
  const noted = new Map<string, number>();
  const book: MisbehaviourBook = {
    async noteError(validator, { details }, lane) {
      const code = misbehaviours.find((each) => each === details.misbehaviour);
      if (code) await book.note(validator, code, lane);
    },
    async note({ name, address }, code, lane) {
      const key = `${address} ${code} ${laneName(lane)}`;
      if (clock.now() < (noted.get(key) ?? 0) + restMs) return;
      noted.set(key, clock.now());
      const now = new Date(clock.now());
      try {
        const [row] = await db.query<{ times: number }>(
          `INSERT INTO relay_misbehaviour AS m (validator, code, lane, times, first_at, last_at)
           VALUES ($1, $2, $3, 1, $4, $4)
           ON CONFLICT (validator, code, lane) DO UPDATE SET times = m.times + 1, last_at = $4 RETURNING times`,
          [address, code, laneName(lane), now],
        );
        if (row?.times === 1)
          log.error({ validator: name, address, code, lane: laneName(lane) }, "validator misbehaves");
      } catch (error) {
        log.warn({ err: error, validator: name, code }, "misbehaviour is not noted");
      }
    },
  };
  return book;
}

export async function misbehaviourRows(from: Queryable): Promise<MisbehaviourRow[]> {
  const rows = await from.query<Omit<MisbehaviourRow, "firstAt" | "lastAt"> & { first_at: Date; last_at: Date }>(
    "SELECT validator, code, lane, times, first_at, last_at FROM relay_misbehaviour ORDER BY first_at",
  );
  return rows.map(({ first_at: firstAt, last_at: lastAt, ...rest }) => ({ ...rest, firstAt, lastAt }));
}
