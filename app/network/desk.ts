import type { DeployedChain } from "./settings.ts";

/** The account of a local network that takes the other side of swaps. */
export const deskAccount = "desk";

const coin = 10n ** 18n;
const dollar = 10n ** 6n;

/**
 * A desk that trades coins of alpha against test tokens of beta, both ways, at a price that stands still. Undefined where
 * the network lacks one of the chains.
 */
export function deskSettings(chains: readonly DeployedChain[]) {
  const [alpha, beta] = ["alpha", "beta"].map((name) => chains.find((chain) => chain.name === name));
  if (!alpha || !beta) return undefined;
  const token = { type: "erc20", address: beta.deployment.token };
  return {
    account: deskAccount,
    assets: {
      coin: { chain: alpha.name, asset: { type: "native" }, decimals: 18, symbol: "ETH" },
      dollar: {
        ...{ chain: beta.name, asset: token, decimals: 6, symbol: "USD" },
        mostCommitted: (500_000n * dollar).toString(),
      },
    },
    pairs: [
      { source: "coin", target: "dollar", ...between(coin / 1_000n, 10n * coin), feeBps: 30 },
      { source: "dollar", target: "coin", ...between(dollar, 25_000n * dollar), feeBps: 30 },
    ],
    prices: { table: { "ETH/USD": "2500" } },
    quoteSeconds: 60,
  };
}

const between = (least: bigint, most: bigint) => ({ least: least.toString(), most: most.toString() });
