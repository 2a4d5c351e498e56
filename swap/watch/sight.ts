import type { SwapChains } from "../chains.ts";
import type { LedgerLock } from "../locks/rows.ts";
import type { Sight, WatchTimes } from "./nextStep.ts";
import type { Watch } from "./watch.ts";

/** What the locks under one id, newest first, come to. */
export function sightOf(locks: readonly LedgerLock[]): Sight["lock"] {
  const [newest] = locks;
  if (!newest) return { state: "absent" };
  if (!newest.end || locks.some(({ end }) => !end)) return { state: "open" };
  return { state: "ended", kind: newest.end.kind, final: locks.every(({ end }) => end?.final === true) };
}

/** A lock that a reorganisation removed can come back as long as a block with a time before its timelock can. */
export function timesOf(
  { chain, terms: { timelock } }: Pick<Watch, "chain" | "terms">,
  chains: SwapChains,
): WatchTimes {
  const { skew, finality, inclusion, outage = 0n } = chains.timing(chain, chain).source;
  return { timelock, claimUntil: timelock + skew, goneFrom: timelock + skew + finality + inclusion + outage };
}
