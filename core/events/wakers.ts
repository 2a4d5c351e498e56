import type { Log } from "../observe/log.ts";

export type Wakers = {
  /** Calls everybody soon; many calls in a row are one. */
  wake(): void;
  add(wake: () => void): () => void;
};

/**
 * Who wants to be woken, by this process and through `listen` by others. Listening starts with the first one; when it
 * fails it is tried again at the next occasion, and until then loops fall back on their own interval.
 */
export function createWakers(deps: { listen(wake: () => void): Promise<unknown>; log: Log }): Wakers {
  const all = new Set<() => void>();
  let scheduled = false;
  let listening = false;

  const wake = () => {
    if (scheduled || all.size === 0) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      ensureListening();
      for (const each of all) each();
    });
  };

  const ensureListening = () => {
    if (listening || all.size === 0) return;
    listening = true;
    deps.listen(wake).catch((error: unknown) => {
      listening = false;
      deps.log.warn({ err: error }, "cannot listen for events, polling instead");
    });
  };

  return {
    wake,
    add(each) {
      // Own identity, so that adding the same function twice and removing it once leaves one.
      const entry = () => each();
      all.add(entry);
      ensureListening();
      return () => void all.delete(entry);
    },
  };
}
