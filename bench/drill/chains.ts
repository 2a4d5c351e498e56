import type { Network } from "#app/network/network.ts";
import { requestJsonRpc } from "#test/support/localChain.ts";
import { finalityBlocks } from "./processes.ts";

/** Milliseconds between two blocks that a chain makes by itself; what is sent to it is mined at once. */
const blockMs = 100;

export type ChainControl = {
  run(): Promise<void>;
  /** Takes back the last few blocks, fewer than count as final, with all that was in them. */
  reorganise(blocks: number): Promise<void>;
  spikeFees(wei: bigint): Promise<void>;
};

export function controlChain(network: Network, chain: string): ChainControl {
  const url = network.chains[chain]?.url ?? "";
  const rpc = <T>(method: string, ...params: unknown[]) => requestJsonRpc<T>(url, method, params);
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const run = async () => {
    await rpc("evm_setAutomine", true);
    await rpc("evm_setIntervalMining", blockMs);
  };
  return {
    run,
    async reorganise(blocks) {
      if (blocks >= finalityBlocks) throw new RangeError("what is final stays");
      await rpc("evm_setIntervalMining", 0);
      await rpc("evm_setAutomine", false);
      try {
        const snapshot = await rpc<string>("evm_snapshot");
        for (let made = 0; made < blocks; made++) {
          // Time for transactions to come, and for others to see the block.
          await wait(blockMs);
          await rpc("evm_mine");
        }
        await wait(blockMs);
        await rpc("evm_revert", snapshot);
        for (let made = 0; made <= blocks; made++) await rpc("evm_mine");
      } finally {
        await run();
      }
    },
    spikeFees: async (wei) => void (await rpc("hardhat_setNextBlockBaseFeePerGas", `0x${wei.toString(16)}`)),
  };
}
