import { STATUS_CODES } from "node:http";
import { type ErrorCode, errorTable, isLockstepError, LockstepError } from "../kernel/errors.ts";
import type { Problem } from "./problem.ts";

/** The answer for an error. Only errors of the table tell their message; anything else is `internal`. */
export function toProblem(error: unknown): Problem {
  const known = isLockstepError(error)
    ? error
    : (fromFastify(error) ?? new LockstepError("internal", errorTable.internal.title));
  const { field, ...details } = known.details;
  const row = errorTable[known.code];
  return {
    type: `urn:lockstep:error:${known.code}`,
    title: row.title,
    status: row.status,
    code: known.code,
    detail: known.message,
    ...(typeof field === "string" && { field }),
    retryable: row.retryable,
    ...(Object.keys(details).length > 0 && { details: wireDetails(details) }),
  };
}

/** What fastify refuses by itself, with words of ours where its own do not say what is expected. */
const fastifyCodes: Readonly<Record<string, { code: ErrorCode; words?: string; field?: string }>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: "unsupported-media-type", words: "expected a body of type application/json" },
  FST_ERR_CTP_BODY_TOO_LARGE: { code: "body-too-large" },
  FST_ERR_CTP_EMPTY_JSON_BODY: {
    ...{ code: "request-invalid", field: "body", words: "body: expected JSON, and there is none" },
  },
  FST_ERR_CTP_INVALID_JSON_BODY: { code: "request-invalid", field: "body", words: "body: expected JSON" },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    ...{ code: "request-invalid", field: "body", words: "body: its length is not the one that was announced" },
  },
  FST_ERR_BAD_URL: { code: "request-invalid" },
  FST_ERR_HANDLER_TIMEOUT: { code: "answer-overdue" },
};

function fromFastify(error: unknown): LockstepError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, statusCode } = error as Error & { code?: string; statusCode?: number };
  const mapped = code === undefined ? undefined : fastifyCodes[code];
  if (mapped) {
    const details = mapped.field === undefined ? {} : { field: mapped.field };
    return new LockstepError(mapped.code, mapped.words ?? error.message, { details });
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new LockstepError("request-invalid", STATUS_CODES[statusCode] ?? "bad request");
  }
  return undefined;
}

function wireDetails(details: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(details)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, typeof value === "bigint" ? value.toString() : value]),
  );
}
