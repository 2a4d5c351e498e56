import { createApiClient } from "#app/demo/api.ts";
import type { Hex } from "../relay/wallet.ts";
import type { World } from "../relay/world.ts";

export type SwapAnswer = {
  id: string;
  status: string;
  hashlock: Hex;
  reason: { code: string; message: string };
  timeline: { at: string; what: string }[];
  source: { lockId: Hex; timelock: string };
  target: { lockId: Hex };
};

export type SwapApi = ReturnType<typeof createApiClient>;

export const openApi = ({ network }: World): SwapApi => createApiClient({ url: network.api, token: network.token() });

/** Coin for coin between two managed accounts, small enough that thousands can be under way at once. */
export const managedSwap = {
  source: { chain: "alpha", asset: { type: "native" }, amount: "1000000000000" },
  target: { chain: "beta", asset: { type: "native" }, amount: "1000000000000" },
  initiator: { account: "alice" },
  counterparty: { account: "bob" },
} as const;

/** Runs work on many items, so many at a time. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const worker = async () => {
    for (const [index, item] of queue) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}
