import type { KeyStore } from "#core/chain/keys.ts";
import type { DeskConfig } from "#core/config/desk.ts";
import type { Db } from "#core/db/db.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Redacted } from "#core/kernel/redacted.ts";
import type { Log } from "#core/observe/log.ts";
import type { SwapChains } from "../chains.ts";
import type { SettledRequest } from "../request.ts";
import type { Reserves } from "../reserves.ts";
import { createQuoteRoutes } from "./api.ts";
import { describeDesk } from "./describe.ts";
import { createDesk } from "./desk.ts";
import { createFilePrices } from "./filePrices.ts";
import { settleOrder } from "./orders.ts";
import type { PriceSource } from "./price.ts";
import { createQuoteIds } from "./quoteIds.ts";
import type { SwapOrder } from "./schemas.ts";
import { createTablePrices } from "./tablePrices.ts";

/** What the configuration says of the desk, and the key that its quotes are signed under. */
export type DeskSettings = {
  readonly config: DeskConfig;
  readonly quoteKey: Redacted<Uint8Array>;
  /** Those that quotes may still be signed by that are out there. */
  readonly previousQuoteKeys?: readonly Redacted<Uint8Array>[];
};

type Deps = {
  db: Db;
  chains: SwapChains;
  keyStore: Pick<KeyStore, "address">;
  clock: Clock;
  log: Log;
  reserves: Pick<Reserves, "closing" | "kept">;
  /** There is no desk when left out. */
  desk?: DeskSettings | undefined;
};

/** Quotes, and the say that the desk has in requests for swaps. */
export type Quoting = {
  settle(order: SwapOrder): Promise<SettledRequest>;
  plugin(app: HttpServer): Promise<void>;
};

export function createQuoting({ desk: settings, ...deps }: Deps): Quoting {
  if (!settings)
    return { settle: (order) => settleOrder(undefined, order), plugin: createQuoteRoutes({ desk: undefined }) };
  const { config, quoteKey, previousQuoteKeys = [] } = settings;
  const prices = pricesOf(config, deps);
  const desk = createDesk({
    ...deps,
    config,
    prices,
    ids: createQuoteIds({ key: quoteKey, previous: previousQuoteKeys }),
  });
  const describe = () => describeDesk({ ...deps, config, prices, desk });
  return {
    settle: (order) => settleOrder(desk, order),
    plugin: createQuoteRoutes({ desk: { quote: desk.quote, describe } }),
  };
}

/** Where the desk has its prices from, as configured. */
export function pricesOf({ prices }: DeskConfig, { clock, log }: Pick<Deps, "clock" | "log">): PriceSource {
  if ("table" in prices) return createTablePrices({ table: prices.table, clock });
  return createFilePrices({ file: prices.file, maxAgeSeconds: prices.maxAgeSeconds, clock, log });
}
