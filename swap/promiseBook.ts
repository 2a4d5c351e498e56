import type { Queryable, Tx } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { assetKey } from "./assets.ts";
import type { Asset } from "./events.ts";
import { promisedAmounts } from "./promises.ts";

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

/** Coin that an account may need to send what external parties leave to it. Nobody is refused for want of it. */
type PayerGas = { readonly chain: string; readonly account: Hex; readonly needed: bigint };

/** What one swap takes. */
export type Demand = { readonly wants: readonly Want[]; readonly payerGas: readonly PayerGas[] };

/** What is still to leave a balance: locks up to the block are not counted any more, since the balance knows of them. */
type Taken = { readonly amount: bigint; readonly asOf: bigint };

/** By chain, account and asset. */
type AllTaken = ReadonlyMap<string, Taken>;

/** `newest`: the position of the newest swap that is counted. */
type Sums = { readonly taken: AllTaken; readonly newest: bigint; readonly readAt: number };

export type PromiseBook = {
  /**
   * Throws `balance-insufficient` unless what an account held at the block does for what was promised of it before and
   * for the wants of these swaps, in their order. The caller holds `lockPromises`. Answers what to tell once the swaps are
   * committed: the position of the newest one.
   */
  promise(tx: Tx, demands: readonly Demand[]): Promise<(newest: bigint) => void>;
};

/** How long what others gave back is not noticed, in milliseconds; it is looked for where it would make a difference. */
const sumsMs = 1_000;

/**
 * Adding up all open swaps for every request would cost the more the more are open. So what was added up a moment ago is
 * taken again, with what was promised since, as long as the newest swap of all is one of this process: who promises more
 * holds the lock and writes a swap. What is taken back meanwhile, by a lock that was made or a swap that ended, makes the
 * old sums too high, never too low, and before anybody is refused all is added up anew. (Only a lock that a reorganisation
 * undid makes them too low until then. Before a lock is sent, the coin of its account is added up once more, and a dry-run
 * says whether it has the tokens.)
 */
export function createPromiseBook({ clock }: { clock: Clock }): PromiseBook {
  let known: Sums | undefined;

  async function current(tx: Tx): Promise<Sums | undefined> {
    const age = known ? clock.now() - known.readAt : sumsMs;
    // Below 0 the clock was set back, and nobody knows how old they are.
    if (!known || age < 0 || age >= sumsMs) return undefined;
    const [row] = await tx.query<{ newest: bigint | null }>("select max(requested_at_position) as newest from swaps");
    return known.newest === row?.newest ? known : undefined;
  }

  return {
    async promise(tx, demands) {
      const readAt = clock.now();
      const sums = await current(tx);
      const reused = sums && (await addUp(tx, demands, sums.taken).catch(undefinedIfShort));
      const taken = reused ?? (await addUp(tx, demands, new Map()));
      return (newest) => {
        known = { taken, newest, readAt: reused ? (sums?.readAt ?? readAt) : readAt };
      };
    },
  };
}

const undefinedIfShort = (error: unknown): undefined => {
  if (!isLockstepError(error, "balance-insufficient")) throw error;
};

/** What is taken of each balance once these swaps are promised too. `before`: what is known already. */
async function addUp(tx: Tx, demands: readonly Demand[], before: AllTaken): Promise<AllTaken> {
  const taken = new Map(before);
  const all = demands.flatMap(({ wants }) => wants);
  // A balance that was read earlier than the sums still holds what was locked in between.
  for (const want of all) if ((before.get(keyOf(want))?.asOf ?? 0n) > want.asOf) taken.delete(keyOf(want));
  const unknown = all.filter((want) => !taken.has(keyOf(want)));
  const read = unknown.length > 0 ? await promisedAmounts(tx, unknown) : new Map<string, bigint>();
  /** Gas for the swaps before, of balances that nothing is known of yet: what is read does not count it. */
  const early = new Map<string, bigint>();
  for (const { wants, payerGas } of demands) {
    for (const want of wants) {
      const key = keyOf(want);
      const known = taken.get(key);
      const unread = early.get(key) ?? 0n;
      const promised = known?.amount ?? (read.get(key) ?? 0n) + ((await want.kept?.(tx)) ?? 0n) + unread;
      requireLeft(want, promised);
      // Of several blocks the sums are as of the first, and count what was locked since more than once at worst.
      const asOf = known !== undefined && known.asOf < want.asOf ? known.asOf : want.asOf;
      taken.set(key, { amount: promised + want.needed, asOf });
    }
    for (const { needed, ...of } of payerGas) {
      const key = keyOf({ ...of, asset: { type: "native" } });
      const known = taken.get(key);
      if (known) taken.set(key, { ...known, amount: known.amount + needed });
      else early.set(key, (early.get(key) ?? 0n) + needed);
    }
  }
  return taken;
}

const keyOf = ({ chain, account, asset }: Pick<Want, "chain" | "account" | "asset">): string =>
  `${chain} ${account} ${assetKey(asset)}`;

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
