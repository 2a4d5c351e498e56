import { isLockstepError, LockstepError } from "../kernel/errors.ts";

/** Rereads in a row, with the loop's growing delays between them, until missing logs count as gone for good. */
const mostRereads = 20;

export type Gaps = {
  /**
   * Follows the chain, after a reread when observers missed logs the last time. Throws `logs-missing` when they miss
   * some now, and `lane-broken` when so many rereads in a row have not helped.
   */
  around<T>(follow: () => Promise<T>, reread: (after: bigint | undefined) => Promise<void>): Promise<T>;
  /** The chain was followed further, so nothing is missing. */
  closed(): void;
};

/** Remembers from where on logs are missing. */
export function createGaps(): Gaps {
  let missing: { readonly after: bigint | undefined } | undefined;
  let inARow = 0;
  return {
    async around(follow, reread) {
      try {
        if (missing !== undefined) await reread(missing.after);
        missing = undefined;
        return await follow();
      } catch (error) {
        if (!isLockstepError(error, "logs-missing")) throw error;
        inARow += 1;
        if (inARow > mostRereads) {
          throw new LockstepError("lane-broken", `${error.message}; ${mostRereads} further looks did not show more`, {
            details: error.details,
            cause: error,
          });
        }
        const { after } = error.details;
        missing = { after: typeof after === "bigint" ? after : undefined };
        throw error;
      }
    },
    closed() {
      missing = undefined;
      inARow = 0;
    },
  };
}
