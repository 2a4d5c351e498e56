import type { Clock } from "../kernel/clock.ts";
import { isLockstepError, type LockstepError } from "../kernel/errors.ts";
import { createGaps } from "./gaps.ts";
import { lookTwice, type Rereading, reread } from "./reread.ts";
import type { IndexState } from "./tables.ts";

/** What makes sure, behind the head, that nothing was left out. */
export type Assurance = {
  /**
   * Looks a second time at final blocks, and lets observers compare what is recorded with what contracts say, where
   * that is due. What they find to be missing is read again and is a trouble until it turns up; the chain is followed
   * meanwhile, since claims and refunds must not wait for it.
   */
  look(state: IndexState, caughtUp: boolean): Promise<void>;
  /** The final block at which all that is recorded agreed with the contracts' own heads. */
  verified(): bigint | undefined;
  /**
   * `logs-missing` while something is missing, `lane-broken` once many rereads have not shown it, and
   * `start-block-too-high` where reading again cannot show it.
   */
  trouble(): LockstepError | undefined;
};

type Deps = Rereading & {
  readonly clock: Clock;
  /** Milliseconds between two looks; there is no more to do than what became final meanwhile. */
  readonly everyMs: number;
  readonly startBlock: bigint;
};

/** While it catches up, the second look stays at most so many windows behind: what it needs is held in memory. */
const windowsBehind = 2n;
/** Rereads that have not helped for long come this much more rarely. */
const slower = 12;

export function createAssurance(deps: Deps): Assurance {
  const { chain, observers, log, clock } = deps;
  const gaps = createGaps();
  const mostBehind = windowsBehind * BigInt(deps.logWindow);
  let dueAt = clock.now() + deps.everyMs;
  let verified: bigint | undefined;
  let failing: string | undefined;
  let trouble: LockstepError | undefined;

  /** What checks would find need not be read again, where they can be made at all: not every node has old states. */
  const secondLook = (state: IndexState) =>
    lookTwice(deps, state, verified !== undefined && failing === undefined ? "named" : "all");

  async function compare({ final }: IndexState): Promise<void> {
    if (final < deps.startBlock || (verified === final && trouble === undefined)) return;
    const agrees = await allAgree(final);
    gaps.closed();
    trouble = undefined;
    if (agrees) verified = final;
  }

  /** Whether all was compared; not while the chain does not answer for that block. */
  async function allAgree(final: bigint): Promise<boolean> {
    try {
      let complete = true;
      for (const observer of observers)
        complete = ((await observer.check?.(chain.name, final, deps.startBlock)) ?? true) && complete;
      failing = undefined;
      return complete;
    } catch (error) {
      if (!isAboutAnswers(error)) throw error;
      if (failing !== error.code) log.warn({ err: error, final }, "what is recorded cannot be compared");
      failing = error.code;
      return false;
    }
  }

  function note(error: LockstepError): void {
    const wait = trouble === undefined ? 0 : error.code !== "logs-missing" ? deps.everyMs * slower : deps.everyMs;
    dueAt = clock.now() + wait;
    trouble = error;
    log.error({ err: error, retry_in_ms: wait }, "what is recorded is not what the chain has");
  }

  return {
    async look(state, caughtUp) {
      let now = state;
      while (now.final - now.checked > mostBehind) {
        const next = await secondLook(now);
        if (next === now) break;
        now = next;
      }
      if (!caughtUp || clock.now() < dueAt) return;
      dueAt = clock.now() + deps.everyMs;
      now = await secondLook(now);
      try {
        await gaps.around(
          () => compare(now),
          (from = deps.startBlock) => reread(deps, now, from),
        );
      } catch (error) {
        if (!isMissing(error)) throw error;
        note(error);
      }
    },
    verified: () => verified,
    trouble: () => trouble,
  };
}

const answerCodes = new Set([
  "chain-unreachable",
  "chain-answer-invalid",
  "chain-request-refused",
  "chain-no-agreement",
  "call-reverted",
]);

/** A state that a node does not keep, a contract of another version: no reason to stop following the chain. */
const isAboutAnswers = (error: unknown): error is LockstepError =>
  isLockstepError(error) && answerCodes.has(error.code);

const isMissing = (error: unknown): error is LockstepError =>
  isLockstepError(error, "logs-missing") ||
  isLockstepError(error, "start-block-too-high") ||
  (isLockstepError(error, "lane-broken") && isLockstepError(error.cause, "logs-missing"));
