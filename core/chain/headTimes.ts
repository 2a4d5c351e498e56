import type { Clock } from "../kernel/clock.ts";
import type { Block } from "./chain.ts";

/**
 * How far the timestamps of new blocks are off this machine's clock, told from the looks that are taken at the head
 * anyway. A block came at some moment between the look that found it and the one before, so only what is certain is told:
 * it is ahead of the clock even at the later of the two, or behind even at the earlier. So a head that was there at the
 * first look says nothing, nor does the old head of a chain that makes no blocks, nor a process that was away.
 */
export function createHeadTimes(deps: { clock: Clock; onOffset(ms: number): void }): (head: Block | undefined) => void {
  let last: { readonly height: bigint; readonly at: number } | undefined;
  return (head) => {
    if (head === undefined) return;
    const now = deps.clock.now();
    const before = last;
    const isNew = before === undefined || head.number > before.height;
    last = { height: isNew ? head.number : before.height, at: now };
    if (before !== undefined && isNew) deps.onOffset(offsetMs(Number(head.timestamp), before.at, now));
  };
}

/** Positive when ahead. Timestamps are whole seconds, of any moment in which the block may be. */
function offsetMs(timestamp: number, notBefore: number, notAfter: number): number {
  const [earliest, latest] = [timestamp * 1_000, timestamp * 1_000 + 999];
  if (earliest > notAfter) return earliest - notAfter;
  return latest < notBefore ? latest - notBefore : 0;
}
