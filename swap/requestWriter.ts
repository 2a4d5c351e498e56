import type { Db, Tx } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { gather, togetherOrAlone } from "#core/kernel/gather.ts";
import { type SwapEvent, swapStream } from "./events.ts";
import { createPromiseBook, type Demand } from "./promiseBook.ts";
import { lockPromises } from "./promises.ts";
import { knownHashlocks } from "./readModel.ts";
import type { SecretStore } from "./secrets.ts";

type Requested = Extract<SwapEvent, { type: "SwapRequested" }>["data"];

/** A request that was checked against configuration and chains; what is left is what others may change meanwhile. */
export type Plan = Demand & {
  readonly id: string;
  readonly chains: readonly string[];
  /** An external initiator's; the service makes one otherwise. */
  readonly hashlock: Hex | undefined;
  event(hashlock: Hex): Requested;
  /** The last word of who is asked besides. Throws when it does not take the swap. */
  admit?(tx: Tx): Promise<void>;
};

type Deps = {
  db: Db;
  store: EventStore;
  secrets: SecretStore;
  clock: Clock;
  /** Throws `chain-unknown` or `chain-paused`, and keeps the chains from being removed until the transaction ends. */
  admit?(tx: Tx, chains: readonly string[]): Promise<void>;
};

/** Requests that are written in one transaction. */
const mostAtOnce = 50;

/**
 * Writes checked requests; those that come in at once share a transaction, since each holds up all others that promise
 * something. Throws `balance-insufficient` or `hashlock-used`, and then nothing of that request is written.
 */
export function createRequestWriter({ db, store, secrets, clock, admit }: Deps): (plan: Plan) => Promise<void> {
  const book = createPromiseBook({ clock });

  async function write(plans: readonly Plan[]): Promise<undefined[]> {
    await db.tx(async (tx) => {
      await admit?.(tx, [...new Set(plans.flatMap(({ chains }) => chains))]);
      await lockPromises(tx);
      for (const plan of plans) await plan.admit?.(tx);
      const promised = await book.promise(tx, plans);
      await requireFresh(tx, plans);
      const made = await secrets.create(tx, plans.filter(({ hashlock }) => hashlock === undefined).length);
      const appends = plans.map((plan) => {
        const hashlock = plan.hashlock ?? made.pop();
        if (!hashlock) throw new LockstepError("internal", "a swap has no hashlock");
        const event: SwapEvent = { type: "SwapRequested", data: plan.event(hashlock) };
        return { stream: swapStream(plan.id), expected: 0, events: [event] };
      });
      const newest = (await store.append(tx, appends)).at(-1)?.position ?? 0n;
      tx.afterCommit(() => promised(newest));
    });
    return plans.map(() => undefined);
  }

  const together = gather(togetherOrAlone(write), mostAtOnce);
  // Who is asked besides looks at what is written already, so those requests go one by one.
  return (plan) => (plan.admit ? write([plan]).then(() => undefined) : together(plan));
}

/** Whoever saw the secret of a hashlock could claim. */
async function requireFresh(tx: Tx, plans: readonly Plan[]): Promise<void> {
  const given = plans.flatMap(({ hashlock }) => hashlock ?? []);
  if (given.length === 0) return;
  const known = await knownHashlocks(tx, given);
  if (known.size === 0 && new Set(given).size === given.length) return;
  throw new LockstepError("hashlock-used", "hashlock: it was used before; whoever saw its secret could claim", {
    details: { field: "hashlock" },
  });
}
