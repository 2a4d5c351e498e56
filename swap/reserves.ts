import { AsyncLocalStorage } from "node:async_hooks";
import type { KeyStore } from "#core/chain/keys.ts";
import type { Db, Queryable } from "#core/db/db.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { gather } from "#core/kernel/gather.ts";
import type { SwapChain, SwapChains } from "./chains.ts";
import type { Asset, LegName } from "./events.ts";
import { gasOf } from "./intents.ts";
import { type Hold, lockingAccount } from "./nextAction.ts";
import { amountOf, coinKey, takes } from "./promises.ts";
import type { Swap } from "./swap.ts";

/** How many times the present price of gas claims and refunds are provided for, unless configured otherwise. */
const defaultFeeHeadroom = 10;

/** A managed account on a chain, and what the chain asks for gas now, in wei. */
type Purse = { readonly at: SwapChain; readonly account: string; readonly maxFeePerGas: bigint };

/** What may still have to be sent for a leg: `worth` is what a claim brings, in wei, where that is known. */
type Closing = { readonly leg: LegName; readonly claims: boolean; readonly worth: bigint | undefined };

/**
 * The coin that an account keeps for the claims and refunds of its open swaps. A claim that cannot be paid for is money
 * lost, and gas may get dearer after a lock: so each is provided for at a multiple of the present price of gas, up to what
 * a transaction of its kind may offer at most.
 */
export type Reserves = {
  /** Wei that closing one more leg may take. */
  closing(purse: Omit<Purse, "account">, what: { leg: LegName; claims: boolean; asset: Asset; amount: bigint }): bigint;
  /** Wei that the account may still need for gas of all swaps that have not ended. */
  kept(from: Queryable, purse: Purse): Promise<bigint>;
  /**
   * Why the next lock of a swap would leave its sender without the coin to close its swaps, on either chain; undefined
   * where it has enough. Counted are swaps that the account has something at stake in, and those asked for before.
   */
  shortage(swap: Swap, leg: LegName): Promise<string | undefined>;
  /** The same as a hold on the lock that is next. */
  holdOn(swap: Swap): Promise<Hold | undefined>;
};

type Deps = { db: Db; chains: SwapChains; keyStore: Pick<KeyStore, "address">; feeHeadroom?: number | undefined };

/** The account that is asked about; with `upTo` only those swaps count that come no later than it. */
type Asked = { readonly at: SwapChain; readonly account: string; readonly upTo?: Swap };

/** Wei, and the number of open swaps. */
type Standing = { readonly balance: bigint; readonly leaving: bigint; readonly gas: bigint; readonly swaps: number };

const isEnough = ({ balance, leaving, gas }: Standing): boolean => balance >= leaving + gas;

const legNames = ["source", "target"] as const;

/** Questions that are answered together. */
const mostAtOnce = 1_000;

export function createReserves({ db, chains, keyStore, feeHeadroom = defaultFeeHeadroom }: Deps): Reserves {
  const spike = (maxFeePerGas: bigint) => maxFeePerGas * BigInt(feeHeadroom);

  function costOf({ at, maxFeePerGas }: Omit<Purse, "account">, { leg, claims, worth }: Closing): bigint {
    const gas = claims ? gasOf.claim : gasOf.refund;
    const most = at.highestFee?.(`swap.${claims ? "claim" : "refund"}-${leg}`, { gas, worth });
    const price = spike(maxFeePerGas);
    return gas * (most !== undefined && most < price ? most : price);
  }

  /** Gas of the account's open swaps, and their number: of all, or of those up to one. */
  async function gasFor(from: Queryable, purse: Purse, upTo?: Swap) {
    const { at, account, maxFeePerGas } = purse;
    const most = gasOf.claim * spike(maxFeePerGas);
    const open = await from.query<OpenRow>(openSql(upTo), [at.chain.name, most, account, ...(upTo ? [upTo.id] : [])]);
    return {
      swaps: open.reduce((sum, { count }) => sum + count, 0),
      gas: open.reduce((sum, { isSource, claims, worth, count, toLock }) => {
        const leg = isSource ? "source" : "target";
        const cost = costOf(purse, { leg, claims, worth: worth === null ? undefined : BigInt(worth) });
        return sum + BigInt(count) * cost + BigInt(toLock) * gasOf.lock * maxFeePerGas;
      }, 0n),
    };
  }

  /** Coin that was in the account's balance at a block and is to leave it for locks of open swaps. */
  async function leavingFor({ at, account }: Asked, asOf: bigint, upTo?: Swap): Promise<bigint> {
    const values = [at.chain.name, keyStore.address(account), asOf, ...(upTo ? [account, upTo.id] : [])];
    const [row] = await db.query<{ leaving: string }>(leavingSql(upTo), values);
    return BigInt(row?.leaving ?? 0);
  }

  /** What an account has on a chain, and what its open swaps may still take of it: of all, or of those up to one. */
  async function standing({ at, account, upTo }: Asked): Promise<Standing> {
    const { chain } = at;
    const address = keyStore.address(account);
    const head = await chain.block("latest");
    if (!head) throw new LockstepError("chain-answer-invalid", `${chain.name} has no block`);
    const [{ balance }, { maxFeePerGas }] = await Promise.all([chain.account(address, head.number), chain.fees()]);
    const [open, leaving] = await Promise.all([
      gasFor(db, { at, account, maxFeePerGas }, upTo),
      leavingFor({ at, account }, head.number, upTo),
    ]);
    return { balance, leaving, ...open };
  }

  /** Asked by every swap before each of its locks. */
  const ofAll = sharing(standing);

  async function shortOn(swap: Swap, leg: LegName, account: string): Promise<string | undefined> {
    const at = chains.get(swap.terms[leg].chain);
    // What is enough for all swaps is enough for those that come first.
    if (isEnough(await ofAll({ at, account }))) return undefined;
    const found = await standing({ at, account, upTo: swap });
    if (isEnough(found)) return undefined;
    const { balance, leaving, gas, swaps } = found;
    return `${account} has ${balance} wei on ${at.chain.name}; ${leaving} are to be locked, and gas of ${swaps} open swaps may take ${gas}`;
  }

  const shortage: Reserves["shortage"] = async (swap, leg) => {
    const account = lockingAccount(swap, leg);
    if (account === undefined) return undefined;
    return (await Promise.all(legNames.map((each) => shortOn(swap, each, account)))).find((why) => why !== undefined);
  };

  return {
    closing: (purse, { leg, claims, asset, amount }) => {
      return costOf(purse, { leg, claims, worth: asset.type === "native" ? amount : undefined });
    },
    kept: async (from, purse) => (await gasFor(from, purse)).gas,
    shortage,
    async holdOn(swap) {
      const why = await shortage(swap, swap.legs.source.lock === undefined ? "source" : "target");
      return why === undefined ? undefined : { code: "reserve-short", detail: `nothing more is locked: ${why}` };
    },
  };
}

/** One answer for all who ask about an account of a chain at once. A chain that hangs holds up nobody else. */
function sharing(answer: (asked: Asked) => Promise<Standing>): (asked: Asked) => Promise<Standing> {
  const rounds = new Map<string, (asked: Asked) => Promise<Standing>>();
  // Bound to where this is made: the rounds are not of whoever asks about an account first.
  const begin = AsyncLocalStorage.bind(() =>
    gather(async (all: readonly Asked[]): Promise<PromiseSettledResult<Standing>[]> => {
      const [first] = all;
      if (!first) return [];
      const value = await answer(first);
      return all.map(() => ({ status: "fulfilled", value }));
    }, mostAtOnce),
  );
  return (asked) => {
    const key = JSON.stringify([asked.at.chain.name, asked.account]);
    const round = rounds.get(key) ?? begin();
    rounds.set(key, round);
    return round(asked);
  };
}

/** Gas until a leg is locked: a token is approved first. */
export const lockingGas = (asset: Asset): bigint => gasOf.lock + (asset.type === "native" ? 0n : gasOf.approve);

type OpenRow = {
  readonly isSource: boolean;
  readonly claims: boolean;
  readonly worth: string | null;
  readonly count: number;
  readonly toLock: number;
};

/**
 * Asked for no later than the swap, or with a lock of the account made or under way. Who comes later is held, so that of
 * many swaps that together are too many the first go on.
 */
const counted = (upTo: Swap | undefined, account: string, swap: string) =>
  upTo === undefined
    ? ""
    : `and (exists (select 1 from swaps s join swaps asking on asking.id = ${swap}
                     where s.id = l.swap_id and s.requested_at_position <= asking.requested_at_position)
         or exists (select 1 from swap_legs o
                     where o.swap_id = l.swap_id and o.refunder = ${account}
                       and (o.lock_started or o.lock_block is not null)))`;

/** A leg of which the end was seen in a block has been paid for; a reorganisation gives it back. */
const openSql = (upTo: Swap | undefined) => `
  select "isSource", claims, worth::text, count, "toLock" from (
    select l.leg = 'source' as "isSource", l.claimer is not distinct from $3 as claims,
           case when l.asset = ${coinKey} then least(l.amount, $2::numeric) end as worth, count(*)::integer as count,
           (count(*) filter (where l.pending and l.refunder = $3))::integer as "toLock"
      from swap_legs l
     where l.chain = $1 and (l.claimer = $3 or l.refunder = $3)
       and l.end_block is null and (l.pending or l.lock_block is not null) and not l.ended ${counted(upTo, "$3", "$4")}
     group by 1, 2, 3) as alike`;

/** Of a lock that is made, what left with a block that the balance does not know yet. */
const leavingSql = (upTo: Swap | undefined) => `
  select coalesce(sum(${amountOf(coinKey)}), 0)::text as leaving from swap_legs l
   where l.chain = $1 and l.sender = $2 and ${takes(coinKey)}
     and ((l.pending and not l.ended ${counted(upTo, "$4", "$5")}) or (not l.pending and l.lock_block > $3))`;
