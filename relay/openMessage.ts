import type { MessageRow } from "./rows.ts";

/** A message without an outcome, together with its place. */
export type OpenMessage = MessageRow & {
  readonly nonce: bigint;
  readonly gasLimit: bigint;
  readonly payloadBytes: number;
};

export function withPlace(row: MessageRow): OpenMessage[] {
  const { sent } = row.progress;
  return sent ? [{ ...row, nonce: sent.nonce, gasLimit: sent.gasLimit, payloadBytes: sent.payloadBytes }] : [];
}
