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

const fastifyCodes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "unsupported-media-type",
  FST_ERR_CTP_BODY_TOO_LARGE: "body-too-large",
  FST_ERR_CTP_EMPTY_JSON_BODY: "request-invalid",
  FST_ERR_CTP_INVALID_JSON_BODY: "request-invalid",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "request-invalid",
  FST_ERR_BAD_URL: "request-invalid",
  FST_ERR_HANDLER_TIMEOUT: "answer-overdue",
};

type ValidationIssue = { instancePath?: unknown; message?: unknown; params?: { keys?: unknown } };

function fromFastify(error: unknown): LockstepError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { validation, validationContext, code, statusCode } = error as Error & {
    validation?: readonly ValidationIssue[];
    validationContext?: string;
    code?: string;
    statusCode?: number;
  };
  if (validation) return invalidRequest(validation, validationContext);
  const mapped = code === undefined ? undefined : fastifyCodes[code];
  if (mapped) return new LockstepError(mapped, error.message);
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new LockstepError("request-invalid", STATUS_CODES[statusCode] ?? "bad request");
  }
  return undefined;
}

function invalidRequest(issues: readonly ValidationIssue[], context = "body"): LockstepError {
  const [first] = issues;
  const path = String(first?.instancePath ?? "")
    .replace(/^\//, "")
    .replaceAll("/", ".");
  const unknownKeys = Array.isArray(first?.params?.keys) ? first.params.keys.map(String) : [];
  const field = [path, ...unknownKeys.slice(0, 1)].filter(Boolean).join(".") || context;
  return new LockstepError("request-invalid", `${field}: ${String(first?.message ?? "is not valid")}`, {
    details: { field },
  });
}

function wireDetails(details: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(details)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, typeof value === "bigint" ? value.toString() : value]),
  );
}
