/** An account that a pool may send with. */
export type PoolKey = {
  readonly account: string;
  /** Intents there that are in no block. */
  readonly pending: number;
  /** Wei that none of them may use up; undefined where this process has not looked. */
  readonly free: bigint | undefined;
  /** False when it is halted or gets nothing into a block. */
  readonly fit: boolean;
};

/** What an intent asks of an account. */
export type Load = {
  readonly id: string;
  readonly subject: string;
  /** Wei at most. */
  readonly cost: bigint;
};

/**
 * Which account each intent goes to, in order. What belongs to one subject goes where the open intents of that subject
 * are (`held`), so that it keeps its order. Anything else goes to the account with the least pending among those that
 * are fit and can pay; where there is none, that are fit; where there is none, among all.
 */
export function allocate(
  keys: readonly PoolKey[],
  held: ReadonlyMap<string, string>,
  loads: readonly Load[],
): Map<string, string> {
  const places = new Map(held);
  const now = new Map(keys.map((key) => [key.account, { ...key }]));
  const chosen = new Map<string, string>();
  for (const { id, subject, cost } of loads) {
    const key = now.get(places.get(subject) ?? "") ?? best([...now.values()], cost);
    if (key === undefined) throw new Error("a pool has no accounts");
    chosen.set(id, key.account);
    places.set(subject, key.account);
    const left = key.free === undefined ? undefined : key.free - cost;
    now.set(key.account, { ...key, pending: key.pending + 1, free: left });
  }
  return chosen;
}

/** The earlier one of the pool where there is nothing between them. */
function best(keys: readonly PoolKey[], cost: bigint): PoolKey | undefined {
  const rank = ({ fit, free }: PoolKey) => (!fit ? 2 : free !== undefined && free < cost ? 1 : 0);
  return keys.reduce<PoolKey | undefined>((found, key) => {
    if (found === undefined || rank(key) < rank(found)) return key;
    return rank(key) === rank(found) && key.pending < found.pending ? key : found;
  }, undefined);
}
