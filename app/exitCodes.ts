import { errorTable, type LockstepError } from "#core/kernel/errors.ts";

/** What was asked for was done, and did not come out as hoped: a swap that was refunded, locks that are left. */
export const exitUnlike = 1;
/** Wrong usage of a command. */
export const exitUsage = 2;
/** The service refused the request, and will refuse the same request again. */
const exitRefused = 65;
/** Something does not answer, or cannot be done now: the same again may help. */
export const exitTemporary = 75;
/** The caller may not do this, or did not prove who it is. */
const exitForbidden = 77;
/** Something only a person can mend: the configuration, a chain that was replaced. Starting again does not help. */
export const exitMend = 78;

/** The code of a process that a signal ended, as shells have it. */
export const exitOfSignal = (signal: NodeJS.Signals): number => (signal === "SIGTERM" ? 143 : 130);

/** The class of an error for scripts. */
export function exitOf({ code, retryable }: LockstepError): number {
  const { status }: { status: number } = errorTable[code];
  if (status === 401 || status === 403) return exitForbidden;
  if (retryable) return exitTemporary;
  return status < 500 ? exitRefused : exitMend;
}
