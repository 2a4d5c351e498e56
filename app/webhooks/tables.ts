import type { Migration, Queryable } from "#core/db/db.ts";
import type { EventFilter } from "#core/events/filter.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { toJson } from "#core/kernel/json.ts";

/** Where events are sent. URL and secret are sealed: an address can carry a key as well. */
export const webhookMigrations: readonly Migration[] = [
  {
    id: "webhooks/001-create",
    sql: `
      CREATE TABLE webhooks (
        id text PRIMARY KEY,
        host text NOT NULL,
        sealed bytea NOT NULL,
        filter jsonb NOT NULL,
        state text NOT NULL CHECK (state IN ('active', 'dead')),
        -- everything that is wanted up to here was taken by the receiver
        position bigint NOT NULL,
        failures integer NOT NULL DEFAULT 0,
        retry_at timestamptz NOT NULL,
        reason text,
        failed_at timestamptz,
        delivered_at timestamptz,
        -- one more with each word of an operator, so that who delivers notices
        revision bigint NOT NULL DEFAULT 1,
        holder text,
        held_until timestamptz NOT NULL,
        created_at timestamptz NOT NULL
      );
    `,
  },
];

export type WebhookRow = {
  readonly id: string;
  readonly host: string;
  readonly sealed: Buffer;
  readonly filter: EventFilter;
  readonly state: "active" | "dead";
  readonly position: bigint;
  readonly failures: number;
  readonly retryAt: Date;
  readonly reason: string | null;
  readonly failedAt: Date | null;
  readonly deliveredAt: Date | null;
  readonly revision: bigint;
  readonly createdAt: Date;
};

const columns = `id, host, sealed, filter, state, position, failures, retry_at AS "retryAt", reason,
  failed_at AS "failedAt", delivered_at AS "deliveredAt", revision, created_at AS "createdAt"`;

export const listWebhooks = (from: Queryable) =>
  from.query<WebhookRow>(`SELECT ${columns} FROM webhooks ORDER BY created_at, id`);

/** Throws `not-found`. */
export async function findWebhook(from: Queryable, id: string): Promise<WebhookRow> {
  const [row] = await from.query<WebhookRow>(`SELECT ${columns} FROM webhooks WHERE id = $1`, [id]);
  if (row) return row;
  throw new LockstepError("not-found", `there is no webhook ${id}`, { details: { field: "id" } });
}

/** False when there are as many as there may be. */
export async function insertWebhook(
  to: Queryable,
  row: Pick<WebhookRow, "id" | "host" | "sealed" | "filter" | "position"> & {
    readonly at: Date;
    readonly most: number;
  },
): Promise<boolean> {
  const { id, host, sealed, filter, position, at, most } = row;
  const made = await to.query(
    `INSERT INTO webhooks (id, host, sealed, filter, state, position, retry_at, held_until, created_at)
     SELECT $1, $2, $3, $4::jsonb, 'active', $5, $6, $6, $6 WHERE (SELECT count(*) FROM webhooks) < $7 RETURNING id`,
    [id, host, sealed, toJson(filter), position, at, most],
  );
  return made.length > 0;
}

export async function deleteWebhook(from: Queryable, id: string): Promise<void> {
  await from.query("DELETE FROM webhooks WHERE id = $1", [id]);
}

/** Delivers again from a position, or from where it stopped. */
export async function resumeWebhook(to: Queryable, id: string, after: bigint | undefined, at: Date): Promise<void> {
  await to.query(
    `UPDATE webhooks SET state = 'active', failures = 0, retry_at = $3, position = coalesce($2, position),
       revision = revision + 1 WHERE id = $1`,
    [id, after ?? null, at],
  );
}

export type Hold = { readonly holder: string; readonly now: Date; readonly until: Date };

/** Makes one process the one that delivers what is due; undefined where another is or nothing is due. */
export async function takeWebhook(to: Queryable, id: string, hold: Hold): Promise<WebhookRow | undefined> {
  const [row] = await to.query<WebhookRow>(
    `UPDATE webhooks SET holder = $2, held_until = $4
      WHERE id = $1 AND state = 'active' AND retry_at <= $3 AND (holder = $2 OR held_until <= $3) RETURNING ${columns}`,
    [id, hold.holder, hold.now, hold.until],
  );
  return row;
}

/** False when it is somebody else's, or an operator has said something, since it was taken. */
export async function moveWebhook(
  to: Queryable,
  { id, revision }: Pick<WebhookRow, "id" | "revision">,
  position: bigint,
  hold: Hold & { readonly delivered: boolean },
): Promise<boolean> {
  const moved = await to.query(
    `UPDATE webhooks SET position = $3, held_until = $5, failures = CASE WHEN $6 THEN 0 ELSE failures END,
       delivered_at = CASE WHEN $6 THEN $7 ELSE delivered_at END
      WHERE id = $1 AND revision = $2 AND holder = $4 RETURNING id`,
    [id, revision, position, hold.holder, hold.until, hold.delivered, hold.now],
  );
  return moved.length > 0;
}

/** Says nothing where it is somebody else's by now, or an operator has said something. */
export async function failWebhook(
  to: Queryable,
  { id, revision }: Pick<WebhookRow, "id" | "revision">,
  failure: {
    readonly holder: string;
    readonly reason: string;
    readonly at: Date;
    readonly retryAt: Date;
    readonly dead: boolean;
  },
): Promise<void> {
  await to.query(
    `UPDATE webhooks SET failures = failures + 1, reason = $3, failed_at = $4, retry_at = $5,
       state = CASE WHEN $6 THEN 'dead' ELSE 'active' END WHERE id = $1 AND revision = $2 AND holder = $7`,
    [id, revision, failure.reason, failure.at, failure.retryAt, failure.dead, failure.holder],
  );
}

export async function releaseWebhooks(to: Queryable, holder: string, now: Date): Promise<void> {
  await to.query("UPDATE webhooks SET holder = NULL, held_until = $2 WHERE holder = $1", [holder, now]);
}
