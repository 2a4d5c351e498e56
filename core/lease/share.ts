/** What of a group of leases somebody has to do so that all who want them have about as many. */
export type Share = {
  /** How many of the free ones to take. */
  readonly take: number;
  /** Whether to give one up, for one who has fewer. */
  readonly give: boolean;
};

/**
 * `held`: leases of the group by contender, everybody who wants some included. All contenders see the same and come to
 * what fits together: nobody takes more than an even share, and of two who have too many only the first gives.
 */
export function shareOf(me: string, held: ReadonlyMap<string, number>, leases: number): Share {
  const mine = held.get(me) ?? 0;
  const counts = [...held.values()];
  const most = Math.max(...counts);
  const giver = [...held]
    .filter(([, count]) => count === most)
    .map(([id]) => id)
    .sort()[0];
  return {
    take: Math.max(0, Math.ceil(leases / Math.max(1, held.size)) - mine),
    give: giver === me && most - Math.min(...counts) >= 2,
  };
}
