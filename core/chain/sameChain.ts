import type { Clock } from "../kernel/clock.ts";
import type { Hex } from "../kernel/codec.ts";
import { isLockstepError, LockstepError } from "../kernel/errors.ts";
import type { Chain } from "./chain.ts";

/** How often in a row, and over how many milliseconds at least, another block is shown before it is believed. */
const ordinary = { looks: 5, ms: 15_000 };
/** Looks in a row at the known block after which a doubt is over. */
const looksToTrust = 3;
/** Milliseconds between two looks of somebody who waits for the decision. */
const lookEveryMs = 1_000;

/**
 * Tells a chain that was replaced by another under the same name and id from an endpoint that errs or lies for a while.
 * All who work on the chain share one, so that what one of them has seen keeps the others from acting.
 */
export type SameChain = {
  /**
   * Throws `chain-doubtful` while it is not decided whether the chain is still the one that begins with the known block,
   * and `chain-replaced` once it is not.
   */
  assert(chain: Pick<Chain, "name" | "genesis">, known: Hex): Promise<void>;
  /** The same, after waiting for the decision; throws `chain-doubtful` when there is none for long. */
  decide(chain: Pick<Chain, "name" | "genesis">, known: Hex): Promise<void>;
  /** Throws `chain-doubtful` while there is a doubt, without asking the chain. */
  refuseDoubted(chain: string): void;
  isDoubted(chain: string): boolean;
  /**
   * Tells a chain that dropped a final block from an endpoint that errs or lies for a while: throws `chain-doubtful` until
   * that was seen often enough in a row. `noFork` ends the row.
   */
  confirmFork(chain: string, dropped: { readonly number: bigint; readonly known: Hex; readonly found: Hex }): void;
  noFork(chain: string): void;
};

/** `bad` looks in a row since a time, or `good` ones. */
type Doubt = { readonly since: number; readonly bad: number; readonly good: number };

export function createSameChain(deps: { clock: Clock; confirm?: { looks: number; ms: number } }): SameChain {
  const { clock, confirm = ordinary } = deps;
  const doubts = new Map<string, Doubt>();
  const forks = new Map<string, Omit<Doubt, "good">>();
  const isConfirmed = ({ since, bad }: Omit<Doubt, "good">) =>
    bad >= confirm.looks && clock.now() - since >= confirm.ms;

  function seen(name: string, isKnown: boolean): Doubt | undefined {
    const before = doubts.get(name);
    if (isKnown && (before === undefined || before.good + 1 >= looksToTrust)) {
      doubts.delete(name);
      return undefined;
    }
    const { since = clock.now(), bad = 0 } = before?.bad ? before : {};
    const now = isKnown
      ? { since: clock.now(), bad: 0, good: (before?.good ?? 0) + 1 }
      : { since, bad: bad + 1, good: 0 };
    doubts.set(name, now);
    return now;
  }

  async function assert(chain: Pick<Chain, "name" | "genesis">, known: Hex): Promise<void> {
    const found = await chain.genesis(known);
    const doubt = seen(chain.name, found === known);
    if (doubt === undefined) return;
    if (isConfirmed(doubt)) throw replaced(chain.name, known, found);
    throw doubtful(chain.name, { known, found });
  }

  return {
    assert,
    async decide(chain, known) {
      for (const begun = clock.now(); ; await clock.sleep(lookEveryMs)) {
        try {
          return await assert(chain, known);
        } catch (error) {
          const isLong = clock.now() - begun > 2 * confirm.ms;
          if (!isLockstepError(error, "chain-doubtful") || isLong) throw error;
        }
      }
    },
    refuseDoubted(name) {
      if (doubts.has(name)) throw doubtful(name);
    },
    isDoubted: (name) => doubts.has(name),
    confirmFork(name, dropped) {
      const { since, bad } = forks.get(name) ?? { since: clock.now(), bad: 0 };
      const now = { since, bad: bad + 1 };
      forks.set(name, now);
      if (isConfirmed(now)) return;
      const words = `${name} was shown with another block ${dropped.number}, which is final; its blocks are not read until that is decided`;
      throw new LockstepError("chain-doubtful", words, { details: { chain: name, ...dropped } });
    },
    noFork(name) {
      forks.delete(name);
    },
  };
}

function doubtful(chain: string, blocks: { known?: Hex; found?: Hex } = {}): LockstepError {
  const words = `${chain} was shown with another first block than before; nothing is signed for it until that is decided`;
  return new LockstepError("chain-doubtful", words, { details: { chain, ...blocks } });
}

function replaced(chain: string, known: Hex, found: Hex): LockstepError {
  return new LockstepError(
    "chain-replaced",
    `${chain} is another chain than before: it begins with block ${found}, and what is stored belongs to one that begins with ${known}. Nothing stored is acted on. To start over, empty the database: docs/operations.md, "Reset"; for a local network, npm start -- --reset.`,
    { details: { chain, known, found } },
  );
}
