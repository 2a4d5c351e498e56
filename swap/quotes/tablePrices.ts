import type { Clock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type PriceSource, type PriceTable, rateIn } from "./price.ts";

/** Prices that stand in the configuration and count for as long as the process runs; their time is that of its start. */
export function createTablePrices(deps: { table: PriceTable; clock: Clock }): PriceSource {
  const at = new Date(deps.clock.now());
  return {
    async price(base, quote) {
      const rate = rateIn(deps.table, base, quote);
      if (rate) return { ...rate, at };
      throw new LockstepError("price-unavailable", `there is no price of ${base} in ${quote}`, {
        details: { base, quote },
      });
    },
  };
}
