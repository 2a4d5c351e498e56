import type { KeyStore } from "#core/chain/keys.ts";
import type { DeskConfig } from "#core/config/desk.ts";
import type { Db, Tx } from "#core/db/db.ts";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { SwapChains } from "../chains.ts";
import { deadlinesOf, defaultTimelocks } from "../deadlines.ts";
import type { Reserves } from "../reserves.ts";
import { type Amounts, exactIn } from "./amounts.ts";
import { exposureOf, lockExposure, useQuote } from "./exposure.ts";
import { holdingOf } from "./holdings.ts";
import { requireGas, requireInventory, requireLimits } from "./limits.ts";
import {
  amountsAt,
  createDeskPairs,
  type DeskPair,
  type DeskPairs,
  type Place,
  requireInRange,
  termsOf,
} from "./pairs.ts";
import { type Price, type PriceSource, priceView } from "./price.ts";
import type { PinnedQuote, QuoteIds } from "./quoteIds.ts";
import type { QuoteRequest, QuoteView } from "./schemas.ts";

export type DeskDeps = {
  config: DeskConfig;
  db: Db;
  chains: SwapChains;
  keyStore: Pick<KeyStore, "address">;
  prices: PriceSource;
  reserves: Pick<Reserves, "closing" | "kept">;
  ids: QuoteIds;
  clock: Clock;
};

type Side = Place & { readonly amount: bigint };

/** A trade that somebody wants of the desk: at amounts of a quote, or at amounts of one's own. */
type Offer = {
  readonly source: Side;
  readonly target: Side;
  readonly quote?: Pick<PinnedQuote, "nonce" | "expiresAt">;
  /** Least target amount that will do where the present price gives less than the offer wants. */
  readonly minimum?: bigint | undefined;
};

/** A trade that the desk agrees to, if the last check says so as well. */
type Deal = {
  /** What the desk gives. */
  readonly target: bigint;
  /** The last check: limits, inventory, and that the quote was not used, so that no two requests can slip by. */
  admit(tx: Tx, swap: { readonly id: string; readonly taker: Hex }): Promise<void>;
};

/** The managed account that takes the other side of swaps, at prices and within limits of its own. */
export type Desk = {
  readonly account: string;
  readonly address: Hex;
  readonly pairs: DeskPairs["all"];
  /** What the desk would do now. Writes nothing. */
  quote(body: QuoteRequest): Promise<QuoteView>;
  /** The terms of a quote. Throws `quote-invalid` or `quote-expired`. */
  read(id: string): PinnedQuote;
  /** Throws `price-moved` when the desk would give more than its present price allows, and whatever a quote throws. */
  strike(offer: Offer): Promise<Deal>;
};

const whole = 10_000n;

export function createDesk(deps: DeskDeps): Desk {
  const { config, chains, clock } = deps;
  const { account } = config;
  const address = deps.keyStore.address(account);
  const pairs = createDeskPairs(config);

  const priceOf = (pair: DeskPair): Promise<Price> => deps.prices.price(pair.source.symbol, pair.target.symbol);

  const requireAlive = (quote: Pick<PinnedQuote, "expiresAt">) => {
    if (unixSeconds(clock) < quote.expiresAt) return;
    throw new LockstepError("quote-expired", `the quote was good until ${quote.expiresAt}`, {
      details: { field: "quote", expiresAt: quote.expiresAt, now: unixSeconds(clock) },
    });
  };

  /** Chains as requests name them: known, and not paused. */
  const openChains = (body: { source: Place; target: Place }) => {
    const open = (name: string, field: string) => {
      if (!chains.isPaused(name)) return chains.get(name, field);
      throw new LockstepError("chain-paused", `${field}: the chain ${name} is paused`, { details: { field } });
    };
    return { source: open(body.source.chain, "source.chain"), target: open(body.target.chain, "target.chain") };
  };

  /** What the target amount may be at the present price: the offer's, or what it gives now where that will do. */
  function settledTarget({ source, target, quote, minimum }: Offer, pair: DeskPair, price: Price): bigint {
    const now = exactIn(termsOf(pair, price), source.amount);
    requireInRange(pair, price, now, "source");
    const slippageBps = quote ? config.slippageBps : 0;
    if (target.amount * whole <= now.target * (whole + BigInt(slippageBps))) return target.amount;
    if (minimum !== undefined && minimum <= now.target) return now.target;
    throw new LockstepError("price-moved", `for ${source.amount} the desk gives ${now.target}, not ${target.amount}`, {
      details: {
        ...{ field: quote ? "quote" : "target.amount", wanted: target.amount, minimum, now: now.target, slippageBps },
        ...{ numerator: price.numerator, denominator: price.denominator, at: price.at.toISOString() },
      },
    });
  }

  return {
    ...{ account, address, pairs: pairs.all },
    async quote(body) {
      const pair = pairs.find(body.source, body.target);
      const at = openChains(body);
      const price = await priceOf(pair);
      const amounts = amountsAt(pair, price, givenOf(body));
      const [given, taken] = await Promise.all([
        holdingOf(deps, at.source, { account, address }, { ...pair.source, leg: "source" }),
        holdingOf(deps, at.target, { account, address }, { ...pair.target, leg: "target" }),
      ]);
      requireGas(pair.source, given, "source.chain");
      const exposure = await exposureOf(deps.db, { desk: address, place: pair.target, asOf: taken.asOf });
      requireLimits(config, pair.target, exposure, amounts.target);
      requireInventory(pair.target, taken, exposure, amounts.target);
      const timing = chains.timing(pair.source.chain, pair.target.chain);
      const timelocks = defaultTimelocks(timing, await chains.progressTime(pair.source.chain, pair.target.chain));
      const expiresAt = unixSeconds(clock) + BigInt(config.quoteSeconds);
      const pinned = (side: "source" | "target") => ({
        ...{ chain: pair[side].chain, chainId: at[side].chain.chainId, contract: at[side].timelockContract },
        ...{ asset: pair[side].asset, amount: amounts[side] },
      });
      const legs = { source: pinned("source"), target: pinned("target") };
      return {
        quote: deps.ids.issue({ expiresAt, account, address, ...legs, fee: amounts.fee }),
        expiresAt,
        ...legs,
        fee: amounts.fee,
        price: priceView(price),
        counterparty: { account, address },
        timelocks,
        deadlines: deadlinesOf(timing, timelocks),
        gas: { source: given.gas, target: taken.gas },
      };
    },
    read(id) {
      const pinned = deps.ids.read(id);
      requireAlive(pinned);
      requireSame(pinned, { account, address }, openChains(pinned));
      return pinned;
    },
    async strike(offer) {
      const pair = pairs.find(offer.source, offer.target);
      const at = openChains(offer);
      const target = settledTarget(offer, pair, await priceOf(pair));
      const holding = await holdingOf(deps, at.target, { account, address }, { ...pair.target, leg: "target" });
      requireInventory(pair.target, holding, { promised: 0n }, target);
      return {
        target,
        async admit(tx, swap) {
          const question = { desk: address, taker: swap.taker, place: pair.target, asOf: holding.asOf };
          const exposure = await lockExposure(tx, question);
          if (offer.quote) {
            requireAlive(offer.quote);
            await useQuote(tx, offer.quote, swap.id, clock.now());
          }
          requireLimits(config, pair.target, exposure, target);
          requireInventory(pair.target, holding, exposure, target);
        },
      };
    },
  };
}

function givenOf({ source, target }: QuoteRequest): { side: keyof Omit<Amounts, "fee">; amount: bigint } {
  if (source.amount !== undefined) return { side: "source", amount: source.amount };
  return { side: "target", amount: target.amount ?? 0n };
}

/** A quote is of this service as it is now: the same account, the same chains, the same contracts. */
function requireSame(
  pinned: PinnedQuote,
  desk: { account: string; address: Hex },
  at: Record<"source" | "target", { chain: { chainId: number }; timelockContract: Hex }>,
): void {
  const isSame =
    pinned.account === desk.account &&
    pinned.address === desk.address &&
    (["source", "target"] as const).every(
      (side) => pinned[side].chainId === at[side].chain.chainId && pinned[side].contract === at[side].timelockContract,
    );
  if (isSame) return;
  throw new LockstepError("quote-invalid", "the quote is for another desk or other contracts than there are now", {
    details: { field: "quote" },
  });
}
