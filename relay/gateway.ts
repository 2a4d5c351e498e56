import { type ContractFunctionName, decodeFunctionResult, encodeFunctionData } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Chain } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";

/** A lane's head as a gateway stores it. */
export type ChainHead = { readonly accumulator: Hex; readonly nonce: bigint; readonly generation: number };

/** What a gateway knows of another chain; `gateway` is the zero address for an unknown one. */
type LaneCaps = {
  readonly gateway: Hex;
  readonly maxGasLimit: number;
  readonly maxPayload: number;
  readonly defaultGasLimit: number;
};

/** The views of a gateway that the service reads. `at` is a block number; the latest block when left out. */
export type GatewayReader = {
  /** The newest message of the lane from `originChainId` that was processed. */
  inboundHead(originChainId: number, at?: bigint): Promise<ChainHead>;
  /** The newest message of the lane to `destinationChainId` that was sent. */
  outboundHead(destinationChainId: number, at?: bigint): Promise<ChainHead>;
  laneCaps(chainId: number): Promise<LaneCaps>;
  newestEpoch(originChainId: number, at?: bigint): Promise<bigint>;
  /**
   * The first 26 bytes of the hash of an epoch's set, the second at which it stops counting, and a bit for each of its
   * validators, in the order of their addresses, that lost its weight.
   */
  epochInfo(originChainId: number, epoch: bigint): Promise<{ setHash: Hex; validUntil: bigint; excluded: bigint }>;
  /** Whether an operator holds the message back. */
  isDeferred(originChainId: number, onchainId: Hex): Promise<boolean>;
  /** Whether the message failed, or was left out, and may run. */
  isRetryable(originChainId: number, onchainId: Hex, at?: bigint): Promise<boolean>;
  /** Whether nothing comes from or goes to the chain. */
  isPaused(chainId: number): Promise<boolean>;
  /** What sending to another chain costs; a gas price of zero is free. */
  priceOf(destinationChainId: number): Promise<{ gasPrice: bigint; exchangeRate: bigint }>;
};

export function createGatewayReader({ chain, gateway }: { chain: Chain; gateway: Hex }): GatewayReader {
  type View = ContractFunctionName<typeof gatewayAbi, "view">;
  async function read<N extends View>(functionName: N, args: readonly (bigint | Hex)[], at?: bigint) {
    const data = encodeFunctionData({ abi: gatewayAbi, functionName, args } as never);
    const answer = await chain.call({ to: gateway, data }, at);
    return decodeFunctionResult<typeof gatewayAbi, N>({ abi: gatewayAbi, functionName, data: answer } as never);
  }
  return {
    inboundHead: async (origin, at) => read("inboundHead", [BigInt(origin)], at) as Promise<ChainHead>,
    outboundHead: async (destination, at) => read("outboundHead", [BigInt(destination)], at) as Promise<ChainHead>,
    laneCaps: async (chainId) => read("laneConfig", [BigInt(chainId)]) as Promise<LaneCaps>,
    newestEpoch: async (origin, at) => read("newestEpoch", [BigInt(origin)], at) as Promise<bigint>,
    async epochInfo(origin, epoch) {
      const answer = (await read("epochInfo", [BigInt(origin), epoch])) as readonly [Hex, bigint, bigint];
      const [setHash, validUntil, excluded] = answer;
      return { setHash, validUntil, excluded };
    },
    isDeferred: async (origin, id) => (await read("deferredAt", [id])) === BigInt(origin),
    isRetryable: async (origin, id, at) => read("isRetryable", [BigInt(origin), id], at) as Promise<boolean>,
    isPaused: async (chainId) => read("isPaused", [BigInt(chainId)]) as Promise<boolean>,
    priceOf: (destination) => read("priceOf", [BigInt(destination)]),
  };
}
