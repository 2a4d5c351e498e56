import type { Clock } from "#core/kernel/clock.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import type { Swap } from "../swap.ts";
import { type Approver, type LockStep, type Question, questionOf } from "./approver.ts";
import type { Decisions } from "./decisions.ts";

/** Asks about locks on the side, so that no swap waits for the answer about another one. */
export type Asking = {
  /** Asks unless that is under way or was answered with a hold a short while ago. Returns at once. */
  ask(swap: Swap, step: LockStep): void;
  /** Why it was told to wait when last asked, by this process. */
  lastWords(swapId: string, step: LockStep): string | undefined;
  /** Takes back what is being asked and waits for that. */
  stop(): Promise<void>;
};

type Deps = { approver: Approver; decisions: Decisions; clock: Clock; log: Log };

/** Questions out at a time; the others wait in line. */
const concurrency = 16;
/** Seconds until the same is asked again: 5, 10, 20, 40, then every minute. */
const firstSeconds = 5;
const longestSeconds = 60;
/** What nobody asked about for so long is forgotten, in milliseconds. */
const forgetMs = 600_000;

type Told = { readonly times: number; readonly againAt: number; readonly reason: string };

export function createAsking({ approver, decisions, clock, log }: Deps): Asking {
  const waiting = new Map<string, Question>();
  const running = new Map<string, Promise<void>>();
  const told = new Map<string, Told>();
  const stopping = new AbortController();

  function begin(): void {
    for (const [id, question] of waiting) {
      if (running.size >= concurrency || stopping.signal.aborted) return;
      waiting.delete(id);
      const asked = carry(question).finally(() => {
        running.delete(id);
        begin();
      });
      running.set(id, asked);
    }
  }

  async function carry(question: Question): Promise<void> {
    const { id, swap, step } = question;
    const { by } = approver;
    try {
      const { decision, reason } = await approver.decide(question, stopping.signal);
      if (stopping.signal.aborted) return;
      if (decision === "hold") return held(id, reason ?? "");
      told.delete(id);
      if (decision === "accept") await decisions.approve(swap, { by, reason, step });
      else await decisions.reject(swap, { by, reason, step });
      log.info({ swap, step, decision, by }, "a lock was decided about");
    } catch (error) {
      // Meanwhile somebody else decided, or time did.
      if (isLockstepError(error, "swap-not-waiting")) return;
      log.warn({ err: error, swap, step }, "a decision about a lock could not be made or kept");
      held(id, "the decision could not be kept");
    }
  }

  function held(id: string, reason: string): void {
    const times = (told.get(id)?.times ?? 0) + 1;
    const seconds = Math.min(longestSeconds, firstSeconds * 2 ** (times - 1));
    told.set(id, { times, againAt: clock.now() + seconds * 1_000, reason });
  }

  function forgetOld(): void {
    for (const [id, { againAt }] of told) if (againAt + forgetMs < clock.now()) told.delete(id);
  }

  const idOf = (swapId: string, step: LockStep) => `swap-${swapId}-${step}`;

  return {
    ask(swap, step) {
      const id = idOf(swap.id, step);
      if (running.has(id) || waiting.has(id) || clock.now() < (told.get(id)?.againAt ?? 0)) return;
      forgetOld();
      waiting.set(id, questionOf(swap, step));
      begin();
    },
    lastWords: (swapId, step) => told.get(idOf(swapId, step))?.reason,
    async stop() {
      stopping.abort();
      waiting.clear();
      await Promise.allSettled(running.values());
    },
  };
}
