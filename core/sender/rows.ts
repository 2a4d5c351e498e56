import { z } from "zod";
import type { Queryable, Tx } from "../db/db.ts";
import { type Hex, hash } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";
import { type Json, toJson } from "../kernel/json.ts";
import type { Attempt, Flight, Voiding } from "./flight.ts";
import { callSchema, type IntentRequest, intentStream, urgencySchema } from "./sender.ts";

/** An intent that waits for its nonce. */
export type Queued = {
  readonly intent: IntentRequest;
  readonly place: bigint;
  /** It had a nonce that a foreign transaction took. */
  readonly moved: boolean;
  readonly released: boolean;
  readonly events: number;
  /** It was asked of a pool. */
  readonly pooled: boolean;
};

/** An intent with the account that was chosen for it, and the pool that it was chosen from. */
export type PlacedIntent = IntentRequest & { readonly pool?: string };

type IntentRow = {
  id: string;
  place: bigint;
  chain: string;
  account: string;
  pool: string | null;
  kind: string;
  subject: string;
  call: unknown;
  gas: bigint;
  not_after: bigint | null;
  sign_by: bigint | null;
  urgency: unknown;
  dry_run: boolean;
  nonce: bigint | null;
  released: boolean;
  moved: boolean;
  reason: Voiding["reason"] | null;
  detail: string | null;
  mined_hash: Hex | null;
  mined_block: bigint | null;
  mined_status: "success" | "reverted" | null;
  events: number;
};

type AttemptRow = {
  intent: string;
  hash: string;
  kind: "call" | "void";
  max_fee: string;
  max_tip: string;
  sealed: Buffer;
};

/** Processes that send listen here for (chain, account) with new work. */
export const senderChannel = "lockstep_sender";

const json = z.custom<Json>((value) => value !== undefined);
const storedCall = z.union([z.object({ builder: z.string(), ref: json }), callSchema]);

/**
 * Writes intents whose id is new, in their order, and tells every process which accounts have work. One that has left for the
 * archive is as known as one that is here.
 */
export async function insertIntents(
  tx: Queryable,
  intents: readonly PlacedIntent[],
  { channel, at }: { channel: string; at: number },
): Promise<void> {
  const rows = intents.map(({ call, notAfter, signBy, urgency, dryRun, ...rest }) => ({
    ...rest,
    asked_at: at,
    call: z.encode(storedCall, call),
    not_after: notAfter ?? null,
    sign_by: signBy ?? null,
    ...(urgency && { urgency: z.encode(urgencySchema, urgency) }),
    dry_run: dryRun,
  }));
  await tx.query(
    `WITH added AS (
       INSERT INTO sender_intent
         (id, chain, account, pool, asked_at, kind, subject, call, gas, not_after, sign_by, urgency, dry_run)
       SELECT v->>'id', v->>'chain', v->>'account', v->>'pool', (v->>'asked_at')::bigint, v->>'kind', v->>'subject', v->'call', (v->>'gas')::bigint,
              (v->>'not_after')::bigint, (v->>'sign_by')::bigint, v->'urgency', (v->>'dry_run')::boolean
       FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS e (v, n)
       WHERE NOT EXISTS (SELECT 1 FROM event_archive WHERE stream = $3 || (v->>'id')) ORDER BY n
       ON CONFLICT (id) DO NOTHING
       RETURNING chain, account)
     SELECT pg_notify($2, jsonb_build_array(chain, account)::text) FROM (SELECT DISTINCT chain, account FROM added) a`,
    [toJson(rows), channel, intentStream("")],
  );
}

export async function loadQueued(
  from: Queryable,
  lane: { chain: string; account: string },
  limit: number,
  except: { readonly ids: readonly string[]; readonly lines: readonly string[] },
): Promise<Queued[]> {
  const rows = await from.query<IntentRow>(
    `SELECT * FROM sender_intent
     WHERE chain = $1 AND account = $2 AND state = 'queued' AND NOT id = ANY($4::text[])
       AND (pool IS NULL OR NOT subject = ANY($5::text[])) ORDER BY place LIMIT $3`,
    [lane.chain, lane.account, limit, except.ids, except.lines],
  );
  return rows.map(toQueued);
}

const toQueued = (row: IntentRow): Queued => ({
  intent: toIntent(row),
  ...{ place: row.place, moved: row.moved, released: row.released, events: row.events, pooled: row.pool !== null },
});

/** Every intent of the account that has a nonce and has not ended, by nonce. */
export async function loadFlights(from: Queryable, lane: { chain: string; account: string }): Promise<Flight[]> {
  const intents = await from.query<IntentRow>(
    `SELECT * FROM sender_intent WHERE chain = $1 AND account = $2 AND state IN ('signed', 'included') ORDER BY nonce`,
    [lane.chain, lane.account],
  );
  const attempts = await from.query<AttemptRow>(
    `SELECT a.intent, a.hash, a.kind, a.max_fee, a.max_tip, a.sealed
     FROM sender_attempt a JOIN sender_intent i ON i.id = a.intent AND i.nonce = a.nonce
     WHERE i.chain = $1 AND i.account = $2 AND i.state IN ('signed', 'included') ORDER BY a.place`,
    [lane.chain, lane.account],
  );
  const byIntent = Map.groupBy(attempts, ({ intent }) => intent);
  return intents.map((row) => toFlight(row, byIntent.get(row.id) ?? []));
}

/** An intent that has not ended, wherever it is. */
export type OpenIntent = {
  readonly intent: IntentRequest;
  /** Undefined while it waits for one. */
  readonly nonce: number | undefined;
  readonly events: number;
  readonly pooled: boolean;
  /** Why it was given up, where its nonce is only to be used up. */
  readonly voiding: Voiding | undefined;
};

/** Every intent of a chain that has not ended, in order of submission. */
export async function loadOpen(from: Queryable, chain: string): Promise<OpenIntent[]> {
  const rows = await from.query<IntentRow>(
    "SELECT * FROM sender_intent WHERE chain = $1 AND state IN ('queued', 'signed', 'included') ORDER BY place",
    [chain],
  );
  return rows.map((row) => ({
    intent: toIntent(row),
    nonce: row.nonce === null ? undefined : Number(row.nonce),
    ...{ events: row.events, pooled: row.pool !== null, voiding: voidingOf(row) },
  }));
}

type FoundAttempt = { readonly id: string; readonly hash: Hex; readonly nonce: number; readonly account: string };

/** Notes transactions that were found on the chain as attempts of their intents. Of their bytes nothing is needed any more. */
export async function saveFound(tx: Tx, found: readonly FoundAttempt[]): Promise<void> {
  await tx.query(
    `WITH found AS (SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS f (id, hash, nonce, account)),
     given AS (
       UPDATE sender_intent i SET state = 'signed', nonce = f.nonce, account = f.account, released = true,
         reason = NULL, detail = NULL FROM found f WHERE i.id = f.id)
     INSERT INTO sender_attempt (intent, nonce, hash, kind, max_fee, max_tip)
     SELECT id, nonce, hash, 'call', 0, 0 FROM found`,
    [
      ...[found.map(({ id }) => id), found.map(({ hash }) => hash), found.map(({ nonce }) => nonce)],
      found.map(({ account }) => account),
    ],
  );
}

/** Nonces from `lowest` on that intents of the account have or had. */
export async function loadTaken(
  from: Queryable,
  lane: { chain: string; account: string },
  lowest: number,
): Promise<Set<number>> {
  const rows = await from.query<{ nonce: bigint }>(
    "SELECT nonce FROM sender_intent WHERE chain = $1 AND account = $2 AND nonce >= $3",
    [lane.chain, lane.account, lowest],
  );
  return new Set(rows.map(({ nonce }) => Number(nonce)));
}

/**
 * Gives queued intents of one account their nonces and first attempts, in one statement, since nothing is sent before it is through.
 * Throws `conflict` if another process did so before for one of them.
 */
export async function saveSigned(to: Queryable, signed: readonly Flight[]): Promise<void> {
  const rows = signed.flatMap(({ intent, nonce, attempts }) =>
    attempts.map((attempt) => ({ id: intent.id, nonce, attempt })),
  );
  const given = await to.query(
    `WITH made AS (SELECT * FROM ${attemptRows}),
     given AS (
       UPDATE sender_intent i SET state = 'signed', nonce = made.nonce, waiting_code = NULL, waiting_detail = NULL
       FROM made WHERE i.id = made.intent AND i.state = 'queued' AND i.account = $8 RETURNING i.id)
     INSERT INTO sender_attempt (${attemptColumns})
     SELECT ${attemptColumns} FROM made JOIN given ON given.id = made.intent RETURNING intent`,
    [...attemptParams(rows), signed[0]?.intent.account ?? ""],
  );
  if (given.length !== rows.length) throw takenByAnother();
}

/** Adds an attempt to an intent under way, and notes why if it uses the nonce up. */
export async function saveAttempt(tx: Tx, flight: Flight, attempt: Attempt, voiding?: Voiding): Promise<void> {
  const open = await tx.query(
    `UPDATE sender_intent SET reason = $3, detail = $4
     WHERE id = $1 AND nonce = $2 AND state IN ('signed', 'included') RETURNING id`,
    [flight.intent.id, flight.nonce, voiding?.reason ?? null, voiding?.detail ?? null],
  );
  if (open.length === 0) throw takenByAnother();
  await tx.query(
    `INSERT INTO sender_attempt (${attemptColumns}) SELECT * FROM ${attemptRows}`,
    attemptParams([{ id: flight.intent.id, nonce: flight.nonce, attempt }]),
  );
}

/** Notes that bytes of the call may leave from now on (or, right before any did, that they will not). */
export async function saveReleased(to: Queryable, ids: readonly string[], released: boolean): Promise<void> {
  await to.query("UPDATE sender_intent SET released = $2 WHERE id = ANY($1)", [ids, released]);
}

/** The genesis hash that the sender's rows of a chain belong to; the given one if there was none. */
export async function knownGenesis(db: Queryable, chain: string, genesis: Hex): Promise<Hex> {
  const [row] = await db.query<{ genesis: string }>(
    `INSERT INTO sender_chain (chain, genesis) VALUES ($1, $2)
     ON CONFLICT (chain) DO UPDATE SET genesis = sender_chain.genesis RETURNING genesis`,
    [chain, genesis],
  );
  return hash.parse(row?.genesis);
}

const attemptColumns = "intent, nonce, hash, kind, max_fee, max_tip, sealed";
const attemptRows = `unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::numeric[], $6::numeric[], $7::bytea[])
  AS made (${attemptColumns})`;

const attemptParams = (rows: readonly { id: string; nonce: number; attempt: Attempt }[]): unknown[][] => [
  rows.map(({ id }) => id),
  rows.map(({ nonce }) => nonce),
  rows.map(({ attempt }) => attempt.hash),
  rows.map(({ attempt }) => attempt.kind),
  rows.map(({ attempt }) => attempt.fees.maxFeePerGas.toString()),
  rows.map(({ attempt }) => attempt.fees.maxPriorityFeePerGas.toString()),
  rows.map(({ attempt }) => attempt.sealed),
];

function toIntent(row: IntentRow): IntentRequest {
  const call = storedCall.parse(row.call);
  const { id, chain, account, kind, subject, gas } = row;
  return {
    ...{ id, chain, account, kind, subject, gas, call, dryRun: row.dry_run },
    ...(row.not_after !== null && { notAfter: row.not_after }),
    ...(row.sign_by !== null && { signBy: row.sign_by }),
    ...(row.urgency !== null && { urgency: urgencyOf(row.urgency) }),
  };
}

function urgencyOf(stored: unknown): NonNullable<IntentRequest["urgency"]> {
  const { by, worth } = urgencySchema.parse(stored);
  return worth === undefined ? { by } : { by, worth };
}

const voidingOf = ({ reason, detail }: IntentRow): Voiding | undefined =>
  reason === null ? undefined : { reason, detail: detail ?? "" };

function toFlight(row: IntentRow, attempts: readonly AttemptRow[]): Flight {
  const mined = row.mined_hash !== null && row.mined_block !== null && row.mined_status !== null;
  return {
    intent: toIntent(row),
    place: row.place,
    nonce: Number(row.nonce),
    attempts: attempts.map(({ hash: text, kind, max_fee, max_tip, sealed }) => ({
      hash: hash.parse(text),
      kind,
      fees: { maxFeePerGas: BigInt(max_fee), maxPriorityFeePerGas: BigInt(max_tip) },
      sealed,
    })),
    released: row.released,
    voiding: voidingOf(row),
    included: mined
      ? { hash: row.mined_hash as Hex, blockNumber: row.mined_block as bigint, status: row.mined_status as "success" }
      : undefined,
    events: row.events,
    sent: undefined,
    sentAtHead: undefined,
    pricedAtHead: undefined,
    unpaid: undefined,
    undecided: undefined,
    accepted: row.released,
    declined: undefined,
    timed: undefined,
  };
}

export const takenByAnother = () => new LockstepError("conflict", "another process sends for the same account", {});
