import pg from "pg";
import { LockstepError } from "../kernel/errors.ts";

/** Failures of sockets and name resolution, as Node names them. */
const networkCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOENT",
]);

/** Server says it is stopping, starting or full: admin shutdown, crash shutdown, cannot connect now, too many clients. */
const awayStates = new Set(["57P01", "57P02", "57P03", "53300", "25P03"]);

/** What `pg` throws without any code when the connection went away under it. */
const lostMessage = /^(Connection terminated|Client has encountered a connection error|timeout (exceeded|expired))/;

/** Serialization failure and deadlock: the statements were fine, the moment was not. */
const retryStates = new Set(["40001", "40P01"]);

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";

/** True when running the same transaction again can succeed. */
export const isTransient = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && retryStates.has(codeOf(error));

/** True when the statement broke the unique constraint of this name, or any when none is named. */
export const isUniqueViolation = (error: unknown, constraint?: RegExp): boolean =>
  error instanceof pg.DatabaseError &&
  error.code === "23505" &&
  (constraint === undefined || constraint.test(error.constraint ?? ""));

/** True when a lock was not to be had within `lock_timeout`. */
export const isLockTimeout = (error: unknown): boolean => error instanceof pg.DatabaseError && error.code === "55P03";

/** No such database, or one that this user may not connect to. */
const refusedStates = new Set(["3D000", "28000", "28P01", "42501"]);

/** What the server says where it lets nobody in under this name until a person changes something; undefined for others. */
export const refusalOf = (error: unknown): string | undefined =>
  error instanceof pg.DatabaseError && refusedStates.has(codeOf(error)) ? error.message : undefined;

/** A lost connection as `database-unreachable`; every other error as it is. */
export function toDatabaseError(error: unknown): unknown {
  if (error instanceof LockstepError || !(error instanceof Error) || !isConnectionLoss(error)) return error;
  return new LockstepError("database-unreachable", "The database cannot be reached or closed the connection", {
    cause: error,
  });
}

function isConnectionLoss(error: Error): boolean {
  if (error instanceof AggregateError) return error.errors.some((inner) => networkCodes.has(codeOf(inner)));
  const code = codeOf(error);
  if (error instanceof pg.DatabaseError) return awayStates.has(code) || code.startsWith("08");
  return networkCodes.has(code) || lostMessage.test(error.message);
}
