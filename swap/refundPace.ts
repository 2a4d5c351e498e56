import type { Clock } from "#core/kernel/clock.ts";
import type { SwapChains } from "./chains.ts";
import type { StepName } from "./events.ts";
import { legOf } from "./parties.ts";
import type { Swap } from "./swap.ts";

/** So many refunds within so many milliseconds are worth waiting for the block that lets them go together. */
const busyRefunds = 4;
const busyMs = 500;
/** Seconds after the timelock for which that block is waited for; a chain with slower blocks takes them one by one. */
const mostSeconds = 2n;

type Chosen = { readonly step: StepName; readonly attempt: number };

/** How a refund that is due goes out: by itself, as every other step, with others, or after a later look. */
export type RefundPace = (swap: Swap, chosen: Chosen) => Promise<"alone" | "together" | "later">;

/**
 * A batch of refunds passes over what is a second too early, and nobody would know before it is final; one that is alone
 * is dry-run instead. So refunds go together only once the chain has a block of their time. Many that fall due at once wait
 * a moment for it, which costs a block: one by one they cost more, since each is dry-run on top of all that are pending.
 */
export function createRefundPace({ chains, clock }: { chains: SwapChains; clock: Clock }): RefundPace {
  let lately: number[] = [];
  return async (swap, { step, attempt }) => {
    if (attempt > 1 || (step !== "refund-source" && step !== "refund-target")) return "alone";
    const { chain: name, timelock } = swap.terms[legOf(step)];
    const now = clock.now();
    lately = [...lately.filter((time) => time > now - busyMs), now];
    try {
      const head = await chains.get(name).chain.block("latest");
      if (head && head.timestamp >= timelock) return "together";
    } catch {
      // A refund is no less its owner's because its chain said nothing just now.
    }
    return lately.length >= busyRefunds && chains.clockTime() < timelock + mostSeconds ? "later" : "alone";
  };
}
