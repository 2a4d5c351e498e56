import type { DeskConfig } from "#core/config/desk.ts";
import type { Queryable } from "#core/db/db.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import type { SwapChains } from "../chains.ts";
import type { Reserves } from "../reserves.ts";
import type { Desk } from "./desk.ts";
import { exposureOf } from "./exposure.ts";
import { holdingOf } from "./holdings.ts";
import { availableOf } from "./limits.ts";
import type { DeskAsset, DeskPair } from "./pairs.ts";
import { type PriceSource, priceView } from "./price.ts";
import type { DeskView } from "./schemas.ts";

type Deps = {
  config: DeskConfig;
  db: Queryable;
  chains: SwapChains;
  prices: PriceSource;
  reserves: Pick<Reserves, "closing" | "kept">;
  desk: Desk;
};

/** The desk as it is now. What cannot be told of a pair, because a chain or a price is not there, is left out with its code. */
export async function describeDesk(deps: Deps): Promise<DeskView> {
  const { config, db, desk } = deps;
  const { quoteSeconds, slippageBps, mostOpen, mostOpenPerTaker } = config;
  const place = { chain: "", asset: { type: "native" } } as const;
  const { open } = await exposureOf(db, { desk: desk.address, place, asOf: 0n });
  return {
    counterparty: { account: desk.account, address: desk.address },
    ...{ quoteSeconds, slippageBps, open, mostOpen, mostOpenPerTaker },
    pairs: await Promise.all(desk.pairs.map((pair) => describePair(deps, pair, open))),
  };
}

async function describePair(deps: Deps, pair: DeskPair, open: number): Promise<DeskView["pairs"][number]> {
  const { least, most, feeBps, fixedFee, source, target } = pair;
  const [price, available] = await Promise.all([
    told(async () => priceView(await deps.prices.price(source.symbol, target.symbol))),
    told(() => availableNow(deps, pair, open)),
  ]);
  const reason = price.code ?? available.code;
  const { mostCommitted, mostPerTaker } = target;
  return {
    source: assetView(source),
    target: {
      ...assetView(target),
      ...(mostCommitted !== undefined && { mostCommitted }),
      ...(mostPerTaker !== undefined && { mostPerTaker }),
      ...(available.value !== undefined && { available: available.value }),
    },
    ...{ least, most, feeBps, fixedFee },
    ...(price.value && { price: price.value }),
    ...(reason && { reason }),
  };
}

async function availableNow({ config, db, chains, desk, reserves }: Deps, { source, target }: DeskPair, open: number) {
  const at = chains.get(target.chain);
  if (open >= config.mostOpen || chains.isPaused(source.chain, target.chain)) return 0n;
  const holding = await holdingOf({ db, reserves }, at, desk, { ...target, leg: "target" });
  const exposure = await exposureOf(db, { desk: desk.address, place: target, asOf: holding.asOf });
  return availableOf(target, holding, exposure);
}

const assetView = ({ chain, asset, symbol, decimals }: DeskAsset) => ({ chain, asset, symbol, decimals });

async function told<T>(ask: () => Promise<T>): Promise<{ value?: T; code?: string }> {
  try {
    return { value: await ask() };
  } catch (error) {
    if (isLockstepError(error)) return { code: error.code };
    throw error;
  }
}
