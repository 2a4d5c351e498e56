import { createPublicClient, http, type PublicClient } from "viem";
import type { Network } from "#app/network/network.ts";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import { messageRecorderAbi } from "#core/abi/messageRecorder.ts";
import type { Hex } from "#core/kernel/codec.ts";

/** What really happened, read from a chain past the service under test. */
export type ChainFacts = {
  readonly client: PublicClient;
  /** How often each event of the timelock was emitted for a lock. */
  timelockEvents(lockId: Hex): Promise<{ Locked: number; Claimed: number; Refunded: number }>;
  /** Messages that the recorder contract got. */
  recorded(): Promise<bigint>;
};

export function chainFacts(network: Network, chain: string): ChainFacts {
  const found = network.chains[chain];
  if (!found) throw new Error(`no chain ${chain}`);
  const { url, deployment } = found;
  const client = createPublicClient({ transport: http(url), cacheTime: 0 });
  const countOf = async (eventName: "Locked" | "Claimed" | "Refunded", id: Hex) => {
    const logs = await client.getContractEvents({
      address: deployment.timelock,
      abi: hashedTimelockAbi,
      eventName,
      args: { id },
      fromBlock: 0n,
    });
    return logs.length;
  };
  return {
    client,
    async timelockEvents(id) {
      const [Locked, Claimed, Refunded] = await Promise.all([
        countOf("Locked", id),
        countOf("Claimed", id),
        countOf("Refunded", id),
      ]);
      return { Locked, Claimed, Refunded };
    },
    recorded: () =>
      client.readContract({ address: deployment.recorder, abi: messageRecorderAbi, functionName: "count" }),
  };
}
