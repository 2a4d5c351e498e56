import type { z } from "zod";
import { type ErrorDetails, LockstepError } from "../kernel/errors.ts";

/** What a node answered, in the expected shape; throws `chain-answer-invalid` with the field at fault. */
export function parseAnswer<T>(schema: z.ZodType<T>, answer: unknown, what: string): T {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw invalidAnswer(`the answer is not ${what}`, { at: parsed.error.issues[0]?.path.join(".") ?? "" });
}

/** The error for an answer that cannot be right; another endpoint may give a better one. */
export function invalidAnswer(message: string, details: ErrorDetails): LockstepError {
  return new LockstepError("chain-answer-invalid", message, { details });
}
