import { covers, type Position } from "./position.ts";

type Look = {
  readonly main: Position;
  readonly own: Position;
  /** When the look began, and now, in milliseconds. */
  readonly at: number;
  readonly now: number;
};

/** Places of the primary that the replica has not reached. */
const mostMarks = 1_000;

/**
 * For how long a replica has been behind: since the earliest look at the primary whose place it has not reached. Pure but
 * for what it remembers.
 */
export function createLag() {
  let marks: { readonly at: number; readonly position: Position }[] = [];
  let hasLooked = false;
  const behindMs = (now: number): number | undefined => (hasLooked ? now - (marks[0]?.at ?? now) : undefined);
  return {
    note({ main, own, at, now }: Look): number | undefined {
      hasLooked = true;
      marks = marks.filter(({ position }) => !covers(own, position));
      if (!covers(own, main) && marks.length < mostMarks) marks.push({ at, position: main });
      return behindMs(now);
    },
    behindMs,
  };
}
