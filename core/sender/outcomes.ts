import type { Receipt } from "../chain/chain.ts";
import type { Tx } from "../db/db.ts";
import type { Append, EventOf, EventStore } from "../events/store.ts";
import type { Attempt } from "./flight.ts";
import { takenByAnother } from "./rows.ts";
import { type IntentRequest, type intentEvents, intentStream } from "./sender.ts";

type IntentEvent = EventOf<typeof intentEvents>;
export type AbandonReason = Extract<IntentEvent, { type: "IntentAbandoned" }>["data"]["reason"];

/** What became of an intent. */
export type Outcome = { readonly intent: IntentRequest; readonly events: number } & (
  | { readonly kind: "included" | "finalized"; readonly attempt: Attempt; readonly receipt: Receipt }
  | { readonly kind: "abandoned"; readonly reason: AbandonReason; readonly detail: string; readonly receipt?: Receipt }
  /** The block it was in is gone. */
  | { readonly kind: "dropped" }
  /** A foreign transaction, or one that only used it up, is final at its nonce; it gets another one. */
  | { readonly kind: "moved" }
);

/** Events that an outcome adds to the intent's stream. */
export const eventsOf = (outcome: Outcome): IntentEvent[] => {
  const { chain, kind, subject } = outcome.intent;
  const base = { chain, kind, subject };
  if (outcome.kind === "abandoned") {
    return [{ type: "IntentAbandoned", data: { ...base, reason: outcome.reason, detail: outcome.detail } }];
  }
  if (outcome.kind === "dropped" || outcome.kind === "moved" || outcome.attempt.kind === "void") return [];
  const { transactionHash: hash, blockNumber, status, gasUsed } = outcome.receipt;
  const included: IntentEvent = { type: "IntentIncluded", data: { ...base, hash, blockNumber, status } };
  const first = outcome.events === 0 ? [included] : [];
  if (outcome.kind === "included") return first;
  return [...first, { type: "IntentFinalized", data: { ...base, hash, blockNumber, status, gasUsed } }];
};

/** Writes outcomes and their events in one transaction. Throws `conflict` when an intent had ended already. */
export async function saveOutcomes(tx: Tx, store: EventStore, outcomes: readonly Outcome[]): Promise<void> {
  const changed = await tx.query(
    `WITH changed AS (
     UPDATE sender_intent i SET
       state = o.state,
       nonce = CASE WHEN o.state = 'queued' THEN NULL ELSE i.nonce END,
       moved = i.moved OR (o.state = 'queued' AND COALESCE(i.reason, '') NOT IN ('unpayable', 'undecided')),
       -- That a void is in a block says nothing about bytes of the call.
       released = CASE o.state WHEN 'queued' THEN i.released AND i.call ? 'builder'
                  WHEN 'included' THEN i.released OR NOT EXISTS (
                    SELECT 1 FROM sender_attempt a WHERE a.hash = o.hash AND a.kind = 'void')
                  ELSE i.released END,
       waiting_code = NULL, waiting_detail = NULL,
       reason = CASE WHEN o.state = 'queued' THEN NULL ELSE COALESCE(o.reason, i.reason) END,
       detail = CASE WHEN o.state = 'queued' THEN NULL ELSE COALESCE(o.detail, i.detail) END,
       mined_hash = o.hash, mined_block = o.block, mined_status = o.status, gas_used = o.gas_used,
       events = i.events + o.events
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bigint[],
                 $9::numeric[], $10::integer[], $11::integer[])
          AS o (id, state, reason, detail, hash, block, status, gas_used, price, events, events_before)
     WHERE i.id = o.id AND i.state IN ('queued', 'signed', 'included') AND i.events = o.events_before
     RETURNING i.id, i.state, i.chain, i.account, i.kind, i.mined_status, i.gas_used, o.price),
     -- What it cost, whether the call was made or its nonce only used up.
     counted AS (
       INSERT INTO sender_spent AS s (chain, account, kind, succeeded, reverted, abandoned, gas_used, fees)
       SELECT chain, account, kind, count(*) FILTER (WHERE state = 'finalized' AND mined_status = 'success'),
              count(*) FILTER (WHERE state = 'finalized' AND mined_status = 'reverted'),
              count(*) FILTER (WHERE state = 'abandoned'), COALESCE(sum(gas_used), 0),
              COALESCE(sum(gas_used * price), 0)
       FROM changed WHERE state IN ('finalized', 'abandoned') GROUP BY chain, account, kind
       ON CONFLICT (chain, account, kind) DO UPDATE SET
         succeeded = s.succeeded + excluded.succeeded, reverted = s.reverted + excluded.reverted,
         abandoned = s.abandoned + excluded.abandoned, gas_used = s.gas_used + excluded.gas_used,
         fees = s.fees + excluded.fees),
     -- The bytes of an intent that ended are of no use any more.
     dropped AS (
       UPDATE sender_attempt a SET sealed = NULL FROM changed
       WHERE a.intent = changed.id AND changed.state IN ('finalized', 'abandoned'))
     SELECT id FROM changed`,
    columns(outcomes.map(toRow), outcomes),
  );
  if (changed.length !== outcomes.length) throw takenByAnother();
  const appends = outcomes
    .map((outcome): Append<IntentEvent> => {
      return { stream: intentStream(outcome.intent.id), expected: outcome.events, events: eventsOf(outcome) };
    })
    .filter(({ events }) => events.length > 0);
  if (appends.length > 0) await store.append(tx, appends);
}

type Row = readonly [
  string,
  string,
  string | null,
  string | null,
  string | null,
  bigint | null,
  string | null,
  bigint | null,
  string | null,
];

function toRow(outcome: Outcome): Row {
  const { id } = outcome.intent;
  if (outcome.kind === "dropped") return [id, "signed", null, null, null, null, null, null, null];
  if (outcome.kind === "moved") return [id, "queued", null, null, null, null, null, null, null];
  const receipt = outcome.receipt;
  const mined = [
    receipt?.transactionHash ?? null,
    receipt?.blockNumber ?? null,
    receipt?.status ?? null,
    receipt?.gasUsed ?? null,
    receipt?.effectiveGasPrice?.toString() ?? null,
  ] as const;
  if (outcome.kind === "abandoned") return [id, "abandoned", outcome.reason, outcome.detail, ...mined];
  return [id, outcome.kind, null, null, ...mined];
}

function columns(rows: readonly Row[], outcomes: readonly Outcome[]): unknown[][] {
  const turned = Array.from({ length: 9 }, (_, column) => rows.map((row) => row[column]));
  return [...turned, outcomes.map((each) => eventsOf(each).length), outcomes.map(({ events }) => events)];
}
