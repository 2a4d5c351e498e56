import type { FeeEstimate, Fees } from "../chain/chain.ts";
import type { PriceBounds } from "./bounds.ts";
import { offersEnough, raiseFees } from "./fees.ts";
import type { Waiting } from "./sender.ts";

/** What bounds the price of a transaction, in wei a gas; `payable` is what the account can pay besides the others that wait. */
type PriceLimits = PriceBounds & { readonly payable: bigint };

const least = (a: bigint, b: bigint) => (a < b ? a : b);

/** The next price of a transaction that is not mined, or why it keeps its own. */
export function nextPrice(
  old: Fees,
  fresh: FeeEstimate,
  { ceiling, payable, outbidsTo, patient, aim }: PriceLimits,
): { readonly fees: Fees } | { readonly waiting: Waiting } {
  const enough = offersEnough(old, fresh);
  if (enough && outbidsTo <= old.maxFeePerGas) {
    const detail = "it offers more than nine of ten transactions paid lately, and is in no block";
    return { waiting: { code: "inclusion-stalled", detail } };
  }
  const bound = least(enough ? least(outbidsTo, ceiling) : ceiling, patient ? fresh.maxFeePerGas : ceiling);
  const wanted = { maxFeePerGas: aim(fresh.maxFeePerGas), maxPriorityFeePerGas: aim(fresh.maxPriorityFeePerGas) };
  const fees = raiseFees(old, wanted, least(payable, bound));
  if (fees !== undefined) return { fees };
  const offered = old.maxFeePerGas;
  if (payable < bound) {
    const detail = `the account can pay ${payable} wei a gas, ${offered} are offered`;
    return { waiting: { code: "balance-insufficient", detail } };
  }
  if (bound < ceiling && patient) {
    const detail = `${offered} wei a gas are offered, as the chain asks, and it waits until gas is cheaper`;
    return { waiting: { code: "gas-price-too-high", detail } };
  }
  return {
    waiting: { code: "gas-price-too-high", detail: `${offered} wei a gas are offered, and ${bound} are the most` },
  };
}
