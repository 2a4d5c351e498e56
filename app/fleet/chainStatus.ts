import { z } from "zod";
import type { IndexerStatus } from "#core/indexer/createIndexer.ts";
import { hash, uint } from "#core/kernel/codec.ts";
import { type ErrorCode, errorTable, LockstepError } from "#core/kernel/errors.ts";

/** One below the first block stands for none. */
const height = z
  .string()
  .regex(/^-?\d{1,30}$/)
  .transform(BigInt)
  .optional();

const reported = z.object({
  chain: z.string(),
  state: z.enum(["stopped", "running", "halted"]),
  ...{ head: height, indexed: height, final: height, checked: height, verified: height },
  healthyAt: z.string().regex(/^\d+$/).transform(Number).optional(),
  code: z
    .string()
    .transform((code): ErrorCode => (code in errorTable ? (code as ErrorCode) : "internal"))
    .optional(),
  message: z.string().optional(),
  fork: uint.optional(),
  forkHash: hash.optional(),
});

/** What a process tells the others of a chain that it reads, all in texts. */
export function reportOf(status: IndexerStatus): Record<string, string> {
  const { chain, state, head, indexed, final, checked, verified, healthyAt, error } = status;
  const { fork, fork_hash: forkHash } = error?.details ?? {};
  const all = { head, indexed, final, checked, verified, healthyAt, code: error?.code, fork, forkHash };
  const known = Object.entries(all).filter(([, value]) => value !== undefined);
  return {
    ...{ chain, state },
    ...Object.fromEntries(known.map(([name, value]) => [name, String(value)])),
    ...(error && { message: error.message }),
  };
}

/** What another process told; undefined where it is of a version that tells it in a way not known here. */
export function statusFrom(report: Readonly<Record<string, string>>): IndexerStatus | undefined {
  const parsed = reported.safeParse(report);
  if (!parsed.success) return undefined;
  const { code, message = "", fork, forkHash, ...status } = parsed.data;
  const { chain, state, head, indexed, final, checked, verified, healthyAt } = status;
  const details = { ...(fork !== undefined && { fork, fork_hash: forkHash }) };
  return {
    ...{ chain, state, head, indexed, final, checked, verified, healthyAt },
    error: code && new LockstepError(code, message, { details }),
  };
}
