import type { Db, Queryable, Tx } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { gather, togetherOrAlone } from "#core/kernel/gather.ts";
import { assetKey } from "./assets.ts";
import { type Asset, type SwapEvent, swapStream } from "./events.ts";
import { lockPromises, promisedAmounts } from "./promises.ts";
import { knownHashlocks } from "./readModel.ts";
import type { SecretStore } from "./secrets.ts";

type Requested = Extract<SwapEvent, { type: "SwapRequested" }>["data"];

/** Something an account must hold for a swap, and did hold at a block. */
export type Want = {
  readonly field: string;
  readonly chain: string;
  readonly account: Hex;
  readonly asset: Asset;
  readonly asOf: bigint;
  readonly held: bigint;
  readonly needed: bigint;
  /** Of the chain's coin: what other swaps that have not ended may take of it for gas. */
  kept?(from: Queryable): Promise<bigint>;
};

/** A request that was checked against configuration and chains; what is left is what others may change meanwhile. */
export type Plan = {
  readonly id: string;
  readonly chains: readonly string[];
  readonly wants: readonly Want[];
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
  /** Throws `chain-unknown` or `chain-paused`, and keeps the chains from being removed until the transaction ends. */
  admit?(tx: Tx, chains: readonly string[]): Promise<void>;
};

/** Requests that are written in one transaction. */
const mostAtOnce = 50;

/**
 * Writes checked requests; those that come in at once share a transaction, since each holds up all others that promise
 * something. Throws `balance-insufficient` or `hashlock-used`, and then nothing of that request is written.
 */
export function createRequestWriter({ db, store, secrets, admit }: Deps): (plan: Plan) => Promise<void> {
  async function write(plans: readonly Plan[]): Promise<undefined[]> {
    await db.tx(async (tx) => {
      await admit?.(tx, [...new Set(plans.flatMap(({ chains }) => chains))]);
      await lockPromises(tx);
      for (const plan of plans) await plan.admit?.(tx);
      await requireHeld(
        tx,
        plans.flatMap(({ wants }) => wants),
      );
      await requireFresh(tx, plans);
      const made = await secrets.create(tx, plans.filter(({ hashlock }) => hashlock === undefined).length);
      const appends = plans.map((plan) => {
        const hashlock = plan.hashlock ?? made.pop();
        if (!hashlock) throw new LockstepError("internal", "a swap has no hashlock");
        const event: SwapEvent = { type: "SwapRequested", data: plan.event(hashlock) };
        return { stream: swapStream(plan.id), expected: 0, events: [event] };
      });
      await store.append(tx, appends);
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

/** What an account held at the block has to do for what was promised of it before, and for these wants in their order. */
async function requireHeld(tx: Tx, wants: readonly Want[]): Promise<void> {
  const taken = await promisedAmounts(tx, wants);
  const keeping = new Set<string>();
  for (const want of wants) {
    const key = `${want.chain} ${want.account} ${assetKey(want.asset)}`;
    const kept = want.kept && !keeping.has(key) ? await want.kept(tx) : 0n;
    if (want.kept) keeping.add(key);
    const promised = (taken.get(key) ?? 0n) + kept;
    requireLeft(want, promised);
    taken.set(key, promised + want.needed);
  }
}

/** `promised`: what other swaps will still take from the same balance. */
export function requireLeft({ field, chain, account, asset, held, needed }: Want, promised: bigint): void {
  if (held - promised >= needed) return;
  const what = asset.type === "native" ? "of the coin, gas included" : "of the token";
  const less = promised > 0n ? `, ${promised} of it promised to other swaps,` : "";
  throw new LockstepError(
    "balance-insufficient",
    `${account} holds ${held}${less} on ${chain} and needs ${needed} ${what}`,
    { details: { field, account, held, promised, needed } },
  );
}
