import type { Hex } from "#core/kernel/codec.ts";
import type { QuorumSet } from "./protocol/quorum.ts";
import type { SetFact } from "./protocol/sets.ts";

/** An epoch of a lane's validators as its destination has it. */
export type Epoch = {
  readonly epoch: bigint;
  /** The whole set, as deliveries bring it along. */
  readonly set: QuorumSet;
  /** Unix seconds at which it stops counting; undefined for the newest. */
  readonly validUntil?: bigint;
  /** Validators that signed two histories: their weight counts for nothing. */
  readonly excluded: ReadonlySet<Hex>;
};

/** The epochs that facts about one lane leave, newest first; revoked ones are not among them. */
export function epochsOf(facts: readonly SetFact[]): Epoch[] {
  const epochs = new Map<bigint, Epoch>();
  for (const fact of facts) {
    const known = epochs.get(fact.epoch);
    switch (fact.kind) {
      case "set": {
        const previous = epochs.get(fact.epoch - 1n);
        if (previous) epochs.set(previous.epoch, { ...previous, validUntil: fact.previousValidUntil });
        epochs.set(fact.epoch, { epoch: fact.epoch, set: fact.set, excluded: new Set() });
        break;
      }
      case "revoked":
        epochs.delete(fact.epoch);
        break;
      case "excluded":
        if (known) epochs.set(fact.epoch, { ...known, excluded: new Set([...known.excluded, fact.validator]) });
    }
  }
  return [...epochs.values()].toSorted((a, b) => (a.epoch < b.epoch ? 1 : -1));
}

/** The set as the destination counts it. */
export const countingSet = ({ set, excluded }: Pick<Epoch, "set" | "excluded">): QuorumSet => ({
  ...set,
  validators: set.validators.filter(({ account }) => !excluded.has(account)),
});
