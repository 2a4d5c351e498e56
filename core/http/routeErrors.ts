import type { ErrorCode } from "../kernel/errors.ts";
import type { RouteAccess } from "./access.ts";

/** What every route may answer, whatever it does. */
const everywhere = [
  "request-invalid",
  "origin-refused",
  "internal",
  "database-unreachable",
  "queue-unreachable",
  "shutting-down",
  "headers-too-large",
  "url-too-long",
  "request-too-slow",
  "rate-limited",
  "overloaded",
  "answer-overdue",
] as const satisfies readonly ErrorCode[];

/** What the guard answers where a caller has to be somebody. */
const ofCallers = [
  ...(["unauthorized", "forbidden"] as const),
  ...(["identity-provider-unreachable", "replay-check-unreachable"] as const),
] as const satisfies readonly ErrorCode[];

/** What is answered about bodies and writing, besides, where something is changed. */
const ofChanges = [
  "unsupported-media-type",
  "body-too-large",
  "conflict",
  "idempotency-key-reused",
  "idempotency-key-busy",
] as const satisfies readonly ErrorCode[];

/** What keeps a chain from being asked; for `errors` of routes that cannot answer without. */
export const chainTroubles = [
  "chain-unreachable",
  "chain-answer-invalid",
  "chain-request-refused",
  "chain-no-agreement",
  "chain-doubtful",
] as const satisfies readonly ErrorCode[];

type Declared = {
  readonly method: string;
  readonly access: RouteAccess;
  readonly errors?: readonly ErrorCode[] | undefined;
};

/** All codes that a route may answer with: its own, and those that every route of its kind may. */
export function errorsOf({ method, access, errors = [] }: Declared): ReadonlySet<ErrorCode> {
  const isOpen = access === "anyone" || access === "signed";
  return new Set<ErrorCode>([
    ...everywhere,
    ...(isOpen ? [] : ofCallers),
    ...(method === "GET" ? [] : ofChanges),
    ...errors,
  ]);
}
