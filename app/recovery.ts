import { isLockstepError } from "#core/kernel/errors.ts";
import { toJson } from "#core/kernel/json.ts";
import type { ConcernedLock, LockView } from "#swap";
import type { Service } from "./lifecycle.ts";

/** What a recovery has found and done. */
export type RecoveryRun = {
  /** Looks at all locks that concern managed accounts, takes on new ones and says what has changed. */
  look(): Promise<void>;
  /** Locks that have not ended for good. */
  left(): number;
  /** True while all that is left waits for a timelock or a secret. */
  idle(): boolean;
  /** Everything as one JSON text. */
  summary(): string;
};

type Followed = ConcernedLock & { readonly view: LockView | undefined; readonly over: boolean };

export function createRecoveryRun(deps: {
  service: Pick<Service, "recovery">;
  dryRun: boolean;
  say(line: string): void;
}): RecoveryRun {
  const { dryRun, say } = deps;
  const { recovery } = deps.service;
  const followed = new Map<string, Followed>();
  const said = new Map<string, string>();

  async function take(lock: ConcernedLock): Promise<void> {
    if (dryRun || lock.watched) return;
    try {
      await recovery.take(lock);
    } catch (error) {
      // It ended a moment ago, by whoever was quicker.
      if (!isLockstepError(error, "lock-ended")) throw error;
    }
  }

  async function follow(key: string, lock: ConcernedLock): Promise<void> {
    const view = await recovery.view(lock.chain, lock.lockId);
    const over = isOver(view, dryRun);
    followed.set(key, { ...lock, view, over });
    const line = lineOf(lock, view);
    if (said.get(key) !== line) say(line);
    said.set(key, line);
  }

  return {
    async look() {
      const found = await recovery.locks();
      for (const lock of found) await take(lock);
      const all = new Map([
        ...[...followed].filter(([, { over }]) => !over),
        ...found.map((lock) => [`${lock.chain} ${lock.lockId}`, lock] as const),
      ]);
      for (const [key, lock] of all) await follow(key, lock);
      if (followed.size === 0 && !said.has("")) say("no lock of a managed account is open");
      said.set("", "");
    },
    left: () => open(followed).length,
    idle: () => open(followed).every(({ view }) => view?.watch?.reason.code === "awaiting-timelock"),
    summary() {
      const shown = [...followed.values()].map(({ chain, lockId, account, refunds, view, over }) => ({
        ...{ chain, lockId, account, refunds, ended: over },
        ...(view && { lock: view }),
      }));
      return toJson({ dryRun, left: open(followed).length, locks: shown });
    },
  };
}

const open = (followed: ReadonlyMap<string, Followed>) => [...followed.values()].filter(({ over }) => !over);

/** Its end is final, or there is nothing more that could be done about it. */
function isOver(view: LockView | undefined, dryRun: boolean): boolean {
  if (dryRun) return view?.state !== "open";
  if (view?.watch) return view.watch.state !== "watching";
  return view?.end?.final === true;
}

function lineOf({ chain, lockId, refunds }: ConcernedLock, view: LockView | undefined): string {
  const head = `${chain} ${lockId}`;
  if (!view) return `${head}: a reorganisation removed it`;
  const { asset, amount, timelock, state, watch, secret } = view;
  const what = `${amount} of ${"address" in asset ? `${asset.type} ${asset.address}` : asset.type}`;
  const until = new Date(Math.min(Number(timelock), 253_402_300_799) * 1000).toISOString();
  const may = refunds ? `refund from ${until}` : `claim until ${until}, the secret is ${secret ? "" : "not "}public`;
  const now = watch ? `${watch.state}, ${watch.reason.message}` : state;
  return `${head}: ${what}, ${may}: ${now}`;
}
