import { isLockstepError } from "#core/kernel/errors.ts";

/** How one thing is. `warning`: it works, and somebody should look; `skipped`: it could not be told. */
export type Finding = {
  readonly name: string;
  readonly result: "ok" | "warning" | "error" | "skipped";
  readonly found: string;
  /** What to do, where there is something. */
  readonly fix?: string;
};

export const ok = (name: string, found: string): Finding => ({ name, result: "ok", found });
export const skipped = (name: string, found: string): Finding => ({ name, result: "skipped", found });
export const warning = (name: string, found: string, fix: string): Finding => ({ name, result: "warning", found, fix });
export const fault = (name: string, found: string, fix: string): Finding => ({ name, result: "error", found, fix });

/** An error as it is told; of an unknown one its message. */
export const wordsOf = (error: unknown): string =>
  isLockstepError(error) || error instanceof Error ? error.message : String(error);
