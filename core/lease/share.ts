/** What of a group of leases somebody has to do so that all who want them have their shares. */
export type Share = {
  /** How many of the free ones to take. */
  readonly take: number;
  /** Whether to give one up, for one who has fewer. */
  readonly give: boolean;
};

/** One who is slow counts for half of another. */
const weightOf = (isSlow: boolean) => (isSlow ? 1 : 2);

/**
 * `held`: leases of the group by contender, everybody who wants some included; `slow`: those that have more to do than they
 * manage, and get half a share. All contenders see the same and come to what fits together: what cannot be shared evenly is
 * taken only once everybody has a whole share, so that nobody takes what was given up for another; and of two who have too
 * many only the first gives.
 */
export function shareOf(
  me: string,
  held: ReadonlyMap<string, number>,
  leases: number,
  slow: ReadonlySet<string> = new Set(),
): Share {
  const whole = [...held.keys()].reduce((sum, id) => sum + weightOf(slow.has(id)), 0);
  const shareFor = (id: string) => Math.floor((leases * weightOf(slow.has(id))) / Math.max(1, whole));
  const over = new Map([...held].map(([id, count]) => [id, count - shareFor(id)]));
  const mine = over.get(me) ?? 0;
  const all = [...over.values()];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const shared = [...held.keys()].reduce((sum, id) => sum + shareFor(id), 0);
  const giver = [...over]
    .filter(([, count]) => count === most)
    .map(([id]) => id)
    .sort()[0];
  const isOver = shared < leases && least >= 0 && mine === 0;
  return { take: isOver ? 1 : Math.max(0, -mine), give: giver === me && most - least >= 2 };
}
