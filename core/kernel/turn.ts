/**
 * Shares work among those who ask for the same in one turn of the event loop, failures too. It is begun by the first of
 * them: what leaves at the end of a turn, as requests to endpoints do, leaves after all of them have asked, so nobody gets
 * an answer from before the question. Whoever asks in a later turn has it done anew.
 */
export function sharedInTurn<K, T>(work: (key: K) => Promise<T>): (key: K) => Promise<T> {
  const asked = new Map<K, Promise<T>>();
  return (key) => {
    const known = asked.get(key);
    if (known !== undefined) return known;
    // Before the work is begun, so that it ends the sharing before what the work sends leaves.
    if (asked.size === 0) setImmediate(() => asked.clear());
    const answer = work(key);
    asked.set(key, answer);
    return answer;
  };
}
