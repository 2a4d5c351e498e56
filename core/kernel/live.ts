/**
 * What a process knows now of things that come and go at run time, by name. Whoever takes a `Live` asks it at every use
 * instead of keeping what it answered; a value that changed is another object.
 */
export type Live<T> = {
  get(name: string): T | undefined;
  entries(): readonly (readonly [string, T])[];
  /** Called after every change, when `get` and `entries` answer the new state; returns the way to stop. */
  onChange(tell: () => void): () => void;
};

/** A `Live` and the one hand that changes it. */
export type LiveSource<T> = Live<T> & { set(next: ReadonlyMap<string, T>): void };

export function createLive<T>(initial: ReadonlyMap<string, T> = new Map()): LiveSource<T> {
  let current = initial;
  const listeners = new Set<() => void>();
  return {
    get: (name) => current.get(name),
    entries: () => [...current],
    onChange(tell) {
      const entry = () => tell();
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    set(next) {
      current = next;
      for (const tell of [...listeners]) tell();
    },
  };
}

/** What never changes, for processes and tests that know everything at start. */
export function fixed<T>(values: Readonly<Record<string, T>>): Live<T> {
  return createLive(new Map(Object.entries(values)));
}

/**
 * Another view of the same things; those that `view` answers undefined for are not in it. A value is viewed once, so the
 * view changes only where the value did.
 */
export function mapLive<T extends object, U>(live: Live<T>, view: (value: T, name: string) => U | undefined): Live<U> {
  const seen = new WeakMap<T, { readonly viewed: U | undefined }>();
  const of = (value: T | undefined, name: string): U | undefined => {
    if (value === undefined) return undefined;
    const known = seen.get(value) ?? { viewed: view(value, name) };
    seen.set(value, known);
    return known.viewed;
  };
  return {
    get: (name) => of(live.get(name), name),
    entries: () =>
      live.entries().flatMap(([name, value]) => {
        const viewed = of(value, name);
        return viewed === undefined ? [] : [[name, viewed] as const];
      }),
    onChange: live.onChange,
  };
}
