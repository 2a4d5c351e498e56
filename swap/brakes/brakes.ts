import type { Db } from "#core/db/db.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { gather } from "#core/kernel/gather.ts";
import type { Hold } from "../nextAction.ts";
import type { Swap } from "../swap.ts";
import { type ApprovalPolicy, approvalMissing, nextLock } from "./approval.ts";
import type { LockStep } from "./approver.ts";
import { type Halt, haltOn, readHalts } from "./halts.ts";
import { type Exposure, exposureLeft, wordsOf } from "./scope.ts";

/** What keeps locks from being made: halts, and approvals that are missing. Read from the database at each question. */
export type Brakes = {
  /** Why nothing more is locked for swaps at present, as it stands now. */
  holds(): Promise<(swap: Swap) => Hold | undefined>;
  /** The same, asked right before a lock's first byte leaves: why it must not. */
  refusal(swap: Swap, step: LockStep): Promise<string | undefined>;
  /** Throws `halted` where nothing would be locked for a swap with this exposure. */
  admit(exposure: Exposure): Promise<void>;
};

const mostAtOnce = 1_000;

export function createBrakes({ db, policy }: { db: Db; policy: ApprovalPolicy }): Brakes {
  // Those who ask at once share a look, which begins after they have asked.
  const look = gather<undefined, readonly Halt[]>(async (asking) => {
    const halts = await readHalts(db);
    return asking.map(() => ({ status: "fulfilled", value: halts }));
  }, mostAtOnce);
  const standing = () => look(undefined);
  return {
    async holds() {
      const halts = await standing();
      return (swap) => holdOf(halts, policy, swap);
    },
    async refusal(swap, step) {
      if (approvalMissing(policy, swap, step)) return `${step} was not approved`;
      const halt = haltOn(await standing(), exposureLeft(swap));
      return halt && haltWords(halt);
    },
    async admit(exposure) {
      const halt = haltOn(await standing(), exposure);
      if (halt) throw new LockstepError("halted", haltWords(halt), { details: { halt: halt.id } });
    },
  };
}

/** Why nothing more is locked for a swap: the oldest halt on it, else the approval that its next lock lacks. Pure. */
export function holdOf(halts: readonly Halt[], policy: ApprovalPolicy, swap: Swap): Hold | undefined {
  const halt = haltOn(halts, exposureLeft(swap));
  if (halt) return { code: "halted", detail: haltWords(halt) };
  const step = nextLock(swap);
  return approvalMissing(policy, swap, step)
    ? { code: "awaiting-approval", detail: `${step} waits for an approval` }
    : undefined;
}

const haltWords = (halt: Halt): string => `locking ${wordsOf(halt)} is halted: ${halt.reason}`;
