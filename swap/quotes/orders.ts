import { LockstepError } from "#core/kernel/errors.ts";
import { assetKey } from "../assets.ts";
import type { LegName } from "../events.ts";
import type { SettledRequest } from "../request.ts";
import type { SwapRequest } from "../schemas.ts";
import type { Desk } from "./desk.ts";
import type { PinnedQuote } from "./quoteIds.ts";
import type { SwapOrder } from "./schemas.ts";

/**
 * Makes a whole request of an order: what a quote pins is filled in, and whatever names the desk as counterparty passes
 * its prices here and its limits in the transaction that writes the swap. Requests between others are left as they are.
 * Throws `request-invalid` for what is missing or contradicts the quote, and the codes of the desk.
 */
export async function settleOrder(desk: Desk | undefined, order: SwapOrder): Promise<SettledRequest> {
  const { quote, minimum, ...rest } = order;
  if (quote !== undefined) {
    if (desk) return redeem(desk, quote, order);
    throw new LockstepError("quote-invalid", "this service has no desk", { details: { field: "quote" } });
  }
  const body = whole(rest);
  if (desk && namesDesk(desk, body)) return trade(desk, body, minimum);
  if (minimum === undefined) return { body };
  throw refused("minimum", "only the desk settles for other amounts than named");
}

async function trade(desk: Desk, body: SwapRequest, minimum: bigint | undefined, quote?: PinnedQuote) {
  requireDeskTerms(body);
  if (minimum !== undefined && minimum > body.target.amount)
    throw refused("minimum", `expected at most target.amount, which is ${body.target.amount}`);
  const deal = await desk.strike({ source: body.source, target: body.target, ...(quote && { quote }), minimum });
  return {
    body: { ...body, target: { ...body.target, amount: deal.target } },
    deal: { admit: deal.admit, ...(quote && { quote: quote.nonce }) },
  };
}

async function redeem(desk: Desk, id: string, { quote: _id, minimum, ...order }: SwapOrder): Promise<SettledRequest> {
  const pinned = desk.read(id);
  for (const leg of ["source", "target"] as const) requireSame(pinned, leg, order);
  const { counterparty } = order;
  if (counterparty && !("account" in counterparty && counterparty.account === desk.account))
    throw refused("counterparty", `the quote is of the account ${desk.account}`);
  const legOf = (leg: LegName) => ({ ...order[leg], ...termsOf(pinned, leg) });
  const body = { ...order, source: legOf("source"), target: legOf("target"), counterparty: { account: desk.account } };
  return trade(desk, body, minimum, pinned);
}

const termsOf = (pinned: PinnedQuote, leg: LegName) => {
  const { chain, asset, amount } = pinned[leg];
  return { chain, asset, amount };
};

function requireSame(pinned: PinnedQuote, leg: LegName, order: Pick<SwapOrder, LegName>): void {
  const named = order[leg];
  if (!named) return;
  const there = termsOf(pinned, leg);
  if (named.chain !== there.chain) throw refused(`${leg}.chain`, `the quote has ${there.chain}`);
  if (named.amount !== there.amount) throw refused(`${leg}.amount`, `the quote has ${there.amount}`);
  if (assetKey(named.asset) !== assetKey(there.asset)) throw refused(`${leg}.asset`, "the quote has another asset");
}

/** By its account. Its address as that of an external party would be the desk without its prices and limits. */
function namesDesk(desk: Desk, { counterparty }: SwapRequest): boolean {
  if ("account" in counterparty) return counterparty.account === desk.account;
  for (const leg of ["source", "target"] as const) {
    if (counterparty[leg] === desk.address)
      throw refused(`counterparty.${leg}`, `it is the desk's; name its account, ${desk.account}`);
  }
  return false;
}

/** Longer timelocks than the service chooses would be an option on the desk's money for nothing, and a tip a gift. */
function requireDeskTerms({ timelocks, target }: SwapRequest): void {
  if (timelocks) throw refused("timelocks", "those of swaps with the desk are chosen by the service");
  if (target.tip) throw refused("target.tip", "the desk gives no tip");
}

function whole({ source, target, counterparty, ...rest }: Omit<SwapOrder, "quote" | "minimum">): SwapRequest {
  const missing = (field: string) => refused(field, "expected it, or a quote");
  if (!source) throw missing("source");
  if (!target) throw missing("target");
  if (!counterparty) throw missing("counterparty");
  return { ...rest, source, target, counterparty };
}

const refused = (field: string, message: string) =>
  new LockstepError("request-invalid", `${field}: ${message}`, { details: { field } });
