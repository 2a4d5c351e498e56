import type { Clock } from "./clock.ts";

/** What was found out a moment ago, for a while, and never more of it than so much. */
export type Recent<V> = {
  get(key: string): V | undefined;
  /** `until`: milliseconds since 1970. */
  set(key: string, value: V, until: number): void;
  delete(key: string): void;
  clear(): void;
};

/** Forgets what was put in first when there is too much, so that nobody can fill the memory with made-up keys. */
export function createRecent<V>({ clock, most }: { clock: Clock; most: number }): Recent<V> {
  const entries = new Map<string, { value: V; until: number }>();
  return {
    get(key) {
      const entry = entries.get(key);
      if (!entry) return undefined;
      if (clock.now() < entry.until) return entry.value;
      entries.delete(key);
      return undefined;
    },
    set(key, value, until) {
      entries.delete(key);
      if (entries.size >= most) {
        const [oldest] = entries.keys();
        if (oldest !== undefined) entries.delete(oldest);
      }
      entries.set(key, { value, until });
    },
    delete: (key) => void entries.delete(key),
    clear: () => entries.clear(),
  };
}
