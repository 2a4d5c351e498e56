import type { Hex } from "#core/kernel/codec.ts";
import { type Outcome, type Progress, statusOf } from "./progress.ts";

/** A message as the read model has it: its progress, and the version its stream is at. */
export type MessageRow = {
  readonly id: string;
  readonly version: number;
  /** Position of its first event; orders messages by age. */
  readonly position: bigint;
  readonly progress: Progress;
};

/** The columns of `relay_messages` as they come back; int8 is a bigint, numeric is text. */
export type MessageColumns = {
  id: string;
  version: number;
  position: bigint;
  origin: string;
  destination: string;
  submitted: boolean;
  dropped: boolean;
  nonce: bigint | null;
  onchain_id: Hex | null;
  accumulator: Hex | null;
  gas_limit: string | null;
  payload_bytes: number | null;
  sent_block: bigint | null;
  sent_final: boolean;
  attested: boolean;
  delivery_intent: string | null;
  delivery_attempt: number | null;
  delivery_retry_at: bigint | null;
  failed_block: bigint | null;
  failed_final: boolean;
  executed_block: bigint | null;
  executed_final: boolean;
  outcome_id: Hex | null;
  retry_attempt: number | null;
  retry_running: boolean;
};

export function fromColumns(row: MessageColumns): MessageRow {
  const { id, version, position, origin, destination, submitted, dropped, attested } = row;
  const progress: Progress = {
    ...{ origin, destination, submitted, dropped, attested },
    ...sentOf(row),
    ...deliveryOf(row),
    ...outcomeOf("failed", row.failed_block, row.failed_final),
    ...outcomeOf("executed", row.executed_block, row.executed_final),
    ...(row.outcome_id !== null && { outcomeId: row.outcome_id }),
    ...(row.retry_attempt !== null && { retry: { attempt: row.retry_attempt, running: row.retry_running } }),
  };
  return { id, version, position, progress };
}

function sentOf(row: MessageColumns): Pick<Progress, "sent"> {
  const { nonce, onchain_id: onchainId, accumulator, gas_limit, payload_bytes, sent_block: block } = row;
  if (nonce === null || onchainId === null || accumulator === null || gas_limit === null) return {};
  if (payload_bytes === null || block === null) return {};
  const size = { gasLimit: BigInt(gas_limit), payloadBytes: payload_bytes };
  return { sent: { nonce, onchainId, accumulator, ...size, block, final: row.sent_final } };
}

function deliveryOf({ delivery_intent, delivery_attempt, delivery_retry_at }: MessageColumns) {
  if (delivery_intent === null || delivery_attempt === null) return {};
  const retryAt = delivery_retry_at === null ? {} : { retryAt: delivery_retry_at };
  return { delivery: { intentId: delivery_intent, attempt: delivery_attempt, ...retryAt } };
}

function outcomeOf<K extends "failed" | "executed">(key: K, block: bigint | null, final: boolean) {
  return (block === null ? {} : { [key]: { block, final } }) as { [P in K]?: Outcome };
}

/** The row as JSON for `jsonb_to_recordset`, numbers that may be large as text. */
export function toJsonRow({ id, version, position, progress }: MessageRow): Record<string, unknown> {
  const { sent, delivery, failed, executed, outcomeId, retry, ...rest } = progress;
  return {
    id,
    version,
    position: position.toString(),
    ...rest,
    status: statusOf(progress),
    nonce: sent?.nonce.toString(),
    onchain_id: sent?.onchainId,
    accumulator: sent?.accumulator,
    gas_limit: sent?.gasLimit.toString(),
    payload_bytes: sent?.payloadBytes,
    sent_block: sent?.block.toString(),
    sent_final: sent?.final ?? false,
    delivery_intent: delivery?.intentId,
    delivery_attempt: delivery?.attempt,
    delivery_retry_at: delivery?.retryAt?.toString(),
    failed_block: failed?.block.toString(),
    failed_final: failed?.final ?? false,
    executed_block: executed?.block.toString(),
    executed_final: executed?.final ?? false,
    outcome_id: outcomeId,
    retry_attempt: retry?.attempt,
    retry_running: retry?.running ?? false,
  };
}
