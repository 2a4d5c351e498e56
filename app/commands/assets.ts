import type { Hex } from "#core/kernel/codec.ts";
import type { SwapOrder } from "../client/index.ts";
import type { LocalNetwork } from "./connect.ts";
import { usageError } from "./options.ts";

type Leg = NonNullable<SwapOrder["source"]>;
type Side = Omit<Leg, "amount"> & { readonly amount?: bigint };

const isAddress = (text: string | undefined): text is Hex => text !== undefined && /^0x[0-9a-fA-F]{40}$/.test(text);

/**
 * Reads an asset on a chain with an amount in smallest units, e.g. `alpha:native:1000`. `token` stands for the test token
 * of a local network. Throws a usage error that names the option.
 */
export function parseSide(option: string, text: string, network: LocalNetwork | undefined): Side {
  const [chain = "", kind = "", ...rest] = text.split(":");
  const wrong = (why: string) =>
    usageError(`--${option}: ${why} in "${text}"; it is as alpha:native:1000 or beta:0xTOKEN:1000`);
  if (chain === "") throw wrong("there is no chain");
  const amountOf = ([amount, ...more]: readonly string[]): { amount?: bigint } => {
    if (more.length > 0) throw wrong(`there is too much behind the amount`);
    if (amount === undefined) return {};
    if (!/^\d{1,78}$/.test(amount)) throw wrong("the amount is no whole number of smallest units");
    return { amount: BigInt(amount) };
  };
  const erc20 = (address: Hex, amount: readonly string[]): Side => ({
    ...{ chain, asset: { type: "erc20", address } },
    ...amountOf(amount),
  });
  if (kind === "native") return { chain, asset: { type: "native" }, ...amountOf(rest) };
  if (isAddress(kind)) return erc20(kind, rest);
  if (kind === "token") {
    const token = network?.chains[chain]?.token;
    if (!token) throw wrong("`token` is the test token of a local network, and there is none of this chain");
    return erc20(token, rest);
  }
  const [address, ...more] = rest;
  if (!["erc20", "erc721", "erc1155"].includes(kind)) throw wrong("there is no asset that is known");
  if (!isAddress(address)) throw wrong("there is no address of a token");
  if (kind === "erc20") return erc20(address, more);
  const [tokenId, ...amount] = more;
  if (tokenId === undefined || !/^\d{1,78}$/.test(tokenId)) throw wrong("there is no token id");
  const item = { address, tokenId: BigInt(tokenId) };
  if (kind === "erc1155") return { chain, asset: { type: "erc1155", ...item }, ...amountOf(amount) };
  return { chain, asset: { type: "erc721", ...item }, amount: 1n, ...amountOf(amount) };
}

/** The same where the amount has to be there. */
export function parseLeg(option: string, text: string, network: LocalNetwork | undefined): Leg {
  const { amount, ...side } = parseSide(option, text, network);
  if (amount === undefined) throw usageError(`--${option}: "${text}" has no amount`);
  return { ...side, amount };
}

/** A managed account by its name, or an external party by its address or by those on both chains. */
export function parseParty(text: string): SwapOrder["initiator"] {
  if (!text.startsWith("0x")) return { account: text };
  const [source, target = source, ...more] = text.split(",");
  if (isAddress(source) && isAddress(target) && more.length === 0) return { source, target };
  throw usageError(`expected an account, an address or two with a comma in between, not "${text}"`);
}
