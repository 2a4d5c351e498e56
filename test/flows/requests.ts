import type { SwapAnswer as DemoSwap } from "#app/demo/api.ts";
import type { Network } from "#app/network/network.ts";
import type { Hex } from "#core/kernel/codec.ts";

export type LegAnswer = { lockId: Hex; state: string; timelock: string };
export type SwapAnswer = DemoSwap & {
  source: LegAnswer;
  target: LegAnswer;
  deadlines: { counterLockBy: string; revealBy: string };
};

/** One coin of alpha for 2,500 tokens of beta, between alice and bob. */
export const swapRequest = (network: Network) => ({
  source: { chain: "alpha", asset: { type: "native" }, amount: "1000000000000000000" },
  target: {
    chain: "beta",
    asset: { type: "erc20", address: network.chains.beta?.deployment.token },
    amount: "2500000000",
  },
  initiator: { account: "alice" },
  counterparty: { account: "bob" },
});

export const messageRequest = (network: Network, origin = "alpha", destination = "beta") => ({
  origin,
  destination,
  recipient: network.chains[destination]?.deployment.recorder,
  payload: "0x68656c6c6f",
});
