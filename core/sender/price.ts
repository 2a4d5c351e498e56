import type { FeeEstimate, Fees } from "../chain/chain.ts";
import { offersEnough, raiseFees } from "./fees.ts";
import type { Waiting } from "./sender.ts";

/** What bounds the price of a transaction, in wei a gas. */
type PriceLimits = {
  readonly ceiling: bigint;
  /** What the account can pay besides the others that wait. */
  readonly payable: bigint;
  /** True when the market is no bound, only the ceiling. */
  readonly outbids: boolean;
};

/** The next price of a transaction that is not mined, or why it keeps its own. */
export function nextPrice(
  old: Fees,
  fresh: FeeEstimate,
  { ceiling, payable, outbids }: PriceLimits,
): { readonly fees: Fees } | { readonly waiting: Waiting } {
  if (!outbids && offersEnough(old, fresh)) {
    const detail = "it offers more than nine of ten transactions paid lately, and is in no block";
    return { waiting: { code: "inclusion-stalled", detail } };
  }
  const fees = raiseFees(old, fresh, payable < ceiling ? payable : ceiling);
  if (fees !== undefined) return { fees };
  const offered = old.maxFeePerGas;
  if (payable < ceiling) {
    const detail = `the account can pay ${payable} wei a gas, ${offered} are offered`;
    return { waiting: { code: "balance-insufficient", detail } };
  }
  return {
    waiting: { code: "gas-price-too-high", detail: `${offered} wei a gas are offered, and ${ceiling} are the most` },
  };
}
