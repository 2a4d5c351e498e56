/**
 * Work that is idempotent, done for one key at a time: whoever asks while it is under way gets the next run, which all
 * who asked meanwhile share, since it begins after they asked.
 */
export function coalesce(work: (key: string) => Promise<void>): (key: string) => Promise<void> {
  const running = new Map<string, Promise<void>>();
  const next = new Map<string, Promise<void>>();

  function run(key: string): Promise<void> {
    const current = work(key).finally(() => {
      if (running.get(key) === current) running.delete(key);
    });
    running.set(key, current);
    return current;
  }

  return (key) => {
    const current = running.get(key);
    if (!current) return run(key);
    const waiting = next.get(key);
    if (waiting) return waiting;
    const begin = () => {
      next.delete(key);
      return run(key);
    };
    const following = current.then(begin, begin);
    next.set(key, following);
    return following;
  };
}
