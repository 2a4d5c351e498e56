import type { DeskConfig } from "#core/config/desk.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import type { Hold } from "../nextAction.ts";
import { managed } from "../parties.ts";
import type { Swap } from "../swap.ts";
import { exactIn } from "./amounts.ts";
import { createDeskPairs, termsOf } from "./pairs.ts";
import type { PriceSource } from "./price.ts";

/** Whether the desk still stands by a swap when it comes to lock: until then it can decline without losing anything. */
export type Repricing = {
  /** Why the desk does not make its counter-lock now; undefined where it does. Throws `price-unavailable`. */
  declines(swap: Swap): Promise<string | undefined>;
  /** The same as a hold on a counter-lock that is next; a price that cannot be told holds it too. */
  holdOn(swap: Swap): Promise<Hold | undefined>;
};

const whole = 10_000n;

/** Without a desk, or without a limit in its configuration, nothing is ever declined. */
export function createRepricing(desk: { config: DeskConfig; prices: PriceSource } | undefined): Repricing {
  const declines: Repricing["declines"] = async ({ counterparty, terms: { source, target } }) => {
    const most = desk?.config.counterLockSlippageBps;
    if (!desk || most === undefined || managed(counterparty) !== desk.config.account) return undefined;
    const pair = createDeskPairs(desk.config).search(source, target);
    if (!pair) return undefined;
    const price = await desk.prices.price(pair.source.symbol, pair.target.symbol);
    const now = exactIn(termsOf(pair, price), source.amount).target;
    if (target.amount * whole <= now * (whole + BigInt(most))) return undefined;
    return `for ${source.amount} the desk gives ${now} now, and ${target.amount} was agreed; its limit is ${most} bps`;
  };
  return {
    declines,
    async holdOn(swap) {
      if (!swap.legs.source.lock) return undefined;
      try {
        const detail = await declines(swap);
        return detail === undefined ? undefined : { code: "price-moved", detail };
      } catch (error) {
        if (isLockstepError(error, "price-unavailable")) return { code: "price-moved", detail: error.message };
        throw error;
      }
    },
  };
}
