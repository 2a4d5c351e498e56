import { LockstepError } from "../kernel/errors.ts";
import type { Sealer } from "../kernel/seal.ts";
import type { Db, Queryable } from "./db.ts";
import { assertIdentifier } from "./identifier.ts";

/** A table with a column of sealed values, and what these are bound to. */
export type SealedTable = {
  readonly table: string;
  /** `sealed` when left out. */
  readonly column?: string;
  /** Columns of text that name a row, in an order that an index has. */
  readonly key: readonly string[];
  context(key: readonly string[]): string;
};

/** Rows of one table: those that are not sealed by the present key, and those of them that no configured key opens. */
type SealedCount = { readonly table: string; readonly left: number; readonly unopened: number };

/** Brings everything that is sealed under the present key. */
export type Reseal = {
  /** How many rows are left, by table. */
  left(): Promise<SealedCount[]>;
  /** Throws `config-invalid` when rows are left and none of the oldest opens: a key that they need is not configured. */
  assertOpens(): Promise<void>;
  /**
   * Seals row after row anew, some in each statement, while others read and write; what is not reached is found by the
   * next run. Rows that open with no key are left as they are, and counted.
   */
  run(options?: {
    batch?: number;
    signal?: AbortSignal;
    onBatch?(table: string, count: number): void;
  }): Promise<SealedCount[]>;
};

const usualBatch = 200;
/** Rows that are tried at the start. */
const tried = 20;

type Row = { readonly key: readonly string[]; readonly sealed: Buffer };

export function createReseal(deps: { db: Db; sealer: Sealer; tables: readonly SealedTable[] }): Reseal {
  const { db, sealer, tables } = deps;

  /** Sealed otherwise than by the present key. */
  const older = (column = "sealed") =>
    `${assertIdentifier(column)} IS NOT NULL AND substring(${column} FROM 1 FOR $1) <> $2`;
  const mark = [sealer.mark.length, sealer.mark] as const;

  async function count({ table, column }: SealedTable): Promise<number> {
    const [row] = await db.query<{ left: bigint }>(
      `SELECT count(*)::bigint AS left FROM ${assertIdentifier(table)} WHERE ${older(column)}`,
      mark,
    );
    return Number(row?.left ?? 0n);
  }

  async function page(
    { table, column = "sealed", key }: SealedTable,
    after: readonly string[] | undefined,
    limit: number,
  ) {
    const columns = key.map(assertIdentifier).join(", ");
    const places = key.map((_, at) => `$${at + 4}`).join(", ");
    const beyond = after ? `AND (${columns}) > (${places})` : "";
    return db.query<Row>(
      `SELECT ARRAY[${columns}]::text[] AS key, ${assertIdentifier(column)} AS sealed FROM ${assertIdentifier(table)}
       WHERE ${older(column)} ${beyond} ORDER BY ${columns} LIMIT $3`,
      [...mark, limit, ...(after ?? [])],
    );
  }

  function opened({ context }: SealedTable, { key, sealed }: Row): Buffer | undefined {
    try {
      return sealer.open(sealed, context(key));
    } catch {
      return undefined;
    }
  }

  async function runTable(each: SealedTable, options: Parameters<Reseal["run"]>[0] = {}): Promise<SealedCount> {
    const { batch = usualBatch, signal } = options;
    let unopened = 0;
    let after: readonly string[] | undefined;
    while (!signal?.aborted) {
      const rows = await page(each, after, batch);
      if (rows.length === 0) break;
      after = rows.at(-1)?.key;
      const renewed = rows.flatMap((row) => {
        const plain = opened(each, row);
        return plain ? [{ ...row, next: sealer.seal(plain, each.context(row.key)) }] : [];
      });
      unopened += rows.length - renewed.length;
      if (renewed.length > 0) await write(db, each, renewed);
      options.onBatch?.(each.table, renewed.length);
    }
    return { table: each.table, left: await count(each), unopened };
  }

  return {
    async left() {
      const found: SealedCount[] = [];
      for (const each of tables) found.push({ table: each.table, left: await count(each), unopened: 0 });
      return found;
    },
    async assertOpens() {
      for (const each of tables) {
        const rows = await page(each, undefined, tried);
        if (rows.length === 0 || rows.some((row) => opened(each, row))) continue;
        throw new LockstepError(
          "config-invalid",
          `previousSealingKeys: rows of ${each.table} open with none of the configured keys; name the one they were sealed with`,
          { details: { field: "previousSealingKeys", table: each.table } },
        );
      }
    },
    async run(options) {
      const found: SealedCount[] = [];
      for (const each of tables) found.push(await runTable(each, options));
      return found;
    },
  };
}

/** Only where nobody has written something else meanwhile. */
async function write(
  to: Queryable,
  { table, column = "sealed", key }: SealedTable,
  rows: readonly (Row & { next: Buffer })[],
) {
  const names = key.map((_, at) => `k${at}`);
  const arrays = key.map((_, at) => `$${at + 3}::text[]`);
  const same = key.map((column, at) => `t.${assertIdentifier(column)} = v.k${at}`).join(" AND ");
  await to.query(
    `UPDATE ${assertIdentifier(table)} t SET ${assertIdentifier(column)} = v.next
     FROM unnest($1::bytea[], $2::bytea[], ${arrays.join(", ")}) AS v (was, next, ${names.join(", ")})
     WHERE ${same} AND t.${column} = v.was`,
    [
      rows.map(({ sealed }) => sealed),
      rows.map(({ next }) => next),
      ...key.map((_, at) => rows.map((row) => row.key[at])),
    ],
  );
}
