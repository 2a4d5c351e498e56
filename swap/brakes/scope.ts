import { z } from "zod";
import { address, uint } from "#core/kernel/codec.ts";
import type { Asset, LegName } from "../events.ts";
import { type Parties, senderOf } from "../parties.ts";
import type { Swap } from "../swap.ts";

/** An asset as a halt names it: of a collection all of its tokens, unless one is named. */
export const haltedAssetSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("native") }),
  z.strictObject({ type: z.literal("erc20"), address }),
  z.strictObject({ type: z.literal("erc721"), address, tokenId: uint.optional() }),
  z.strictObject({ type: z.literal("erc1155"), address, tokenId: uint.optional() }),
]);
export type HaltedAsset = z.output<typeof haltedAssetSchema>;

/** What a halt is of: an account, a chain, an asset of a chain, or with nothing named everything. */
export type Scope = {
  readonly account?: string | undefined;
  readonly chain?: string | undefined;
  readonly asset?: HaltedAsset | undefined;
};

/** What a swap has to do with: the assets of both legs, and the managed accounts that are still to lock or pay for it. */
export type Exposure = {
  readonly assets: readonly { readonly chain: string; readonly asset: Asset }[];
  readonly accounts: readonly string[];
};

type Terms = Parties & {
  readonly terms: Readonly<Record<LegName, { readonly chain: string; readonly asset: Asset }>>;
};

const legNames = ["source", "target"] as const;

/** Of a swap of which nothing is locked yet. */
export const exposureOf = (swap: Terms): Exposure => exposure(swap, legNames);

/** Of a swap under way: an account that has locked has nothing more to lock, its asset and chain still matter. */
export const exposureLeft = (swap: Swap): Exposure =>
  exposure(
    swap,
    legNames.filter((leg) => swap.legs[leg].lock === undefined),
  );

function exposure(swap: Terms, toLock: readonly LegName[]): Exposure {
  const senders = toLock.map((leg) => senderOf(swap, `lock-${leg}`));
  return {
    assets: legNames.map((leg) => swap.terms[leg]),
    accounts: senders.filter((account) => account !== undefined),
  };
}

/** Whether nothing is locked for what has this exposure while the scope is halted. */
export function covers({ account, chain, asset }: Scope, { assets, accounts }: Exposure): boolean {
  if (account !== undefined) return accounts.includes(account);
  if (chain === undefined) return true;
  return assets.some((each) => each.chain === chain && (asset === undefined || isOf(asset, each.asset)));
}

/** By the contract, whatever standard it is said to follow: the same address is the same asset. */
function isOf(halted: HaltedAsset, asset: Asset): boolean {
  if (halted.type === "native" || asset.type === "native") return halted.type === asset.type;
  if (halted.address !== asset.address) return false;
  const token = "tokenId" in halted ? halted.tokenId : undefined;
  return token === undefined || !("tokenId" in asset) || token === asset.tokenId;
}

/** A scope in words that go on after "locking". */
export function wordsOf({ account, chain, asset }: Scope): string {
  if (account !== undefined) return `by account ${account}`;
  if (chain === undefined) return "of everything";
  if (asset === undefined) return `on ${chain}`;
  if (asset.type === "native") return `of the coin of ${chain}`;
  const token = "tokenId" in asset && asset.tokenId !== undefined ? `token ${asset.tokenId} of ` : "";
  return `of ${token}${asset.address} on ${chain}`;
}
