import { isLockstepError, LockstepError } from "../kernel/errors.ts";

/** Rereads in a row, with the loop's growing delays between them, until missing logs count as gone for good. */
const mostRereads = 20;

/** Reads from a height on, or from the start. False when it did not come to the tip. */
type Reread = (after: bigint | undefined) => Promise<boolean>;

export type Gaps = {
  /**
   * Follows the chain, after a reread when observers missed logs the last time or asked for one. Throws `logs-missing`
   * when they miss some now, and `lane-broken` when so many rereads in a row have not helped.
   */
  around<T>(follow: () => Promise<T>, reread: Reread): Promise<T>;
  /** Observers want to be shown everything once more. */
  open(): void;
  /** The chain was followed further, so nothing is missing. */
  closed(): void;
};

/** Remembers from where on logs are missing. */
export function createGaps(): Gaps {
  let missing: { readonly after: bigint | undefined } | undefined;
  let everything = false;
  let inARow = 0;

  async function mend(reread: Reread): Promise<void> {
    const all = everything;
    if (!all && missing === undefined) return;
    everything = false;
    let done = false;
    try {
      done = await reread(all ? undefined : missing?.after);
    } finally {
      if (all && !done) everything = true;
    }
    missing = undefined;
  }

  return {
    async around(follow, reread) {
      try {
        await mend(reread);
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
    open() {
      everything = true;
    },
    closed() {
      missing = undefined;
      inARow = 0;
    },
  };
}
