/** What of a group of leases somebody has to do so that all who want them have about as many. */
export type Share = {
  /** How many of the free ones to take. */
  readonly take: number;
  /** Whether to give one up, for one who has fewer. */
  readonly give: boolean;
};

/**
 * `held`: leases of the group by contender, everybody who wants some included. All contenders see the same and come to
 * what fits together: what cannot be shared evenly is taken only once everybody has an even share, so that nobody takes
 * what was given up for another; and of two who have too many only the first gives.
 */
export function shareOf(me: string, held: ReadonlyMap<string, number>, leases: number): Share {
  const mine = held.get(me) ?? 0;
  const counts = [...held.values()];
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const even = Math.floor(leases / Math.max(1, held.size));
  const giver = [...held]
    .filter(([, count]) => count === most)
    .map(([id]) => id)
    .sort()[0];
  const isOver = even * held.size < leases && least >= even && mine === even;
  return { take: isOver ? 1 : Math.max(0, even - mine), give: giver === me && most - least >= 2 };
}
