import { network } from "hardhat";
import { numberToHex } from "viem";
import { mnemonicToAccount } from "viem/accounts";
import type { Hex } from "#core/kernel/codec.ts";

export type LocalChain = {
  readonly chainId: number;
  /** HTTP and WebSocket on one port of the loopback interface. */
  readonly url: string;
  /** One JSON-RPC request; throws with the node's message. */
  rpc<T = unknown>(method: string, params?: readonly unknown[]): Promise<T>;
  mine(blocks?: number): Promise<void>;
  height(): Promise<bigint>;
  /** Remembers the present block; the answer goes to `revert`. */
  snapshot(): Promise<string>;
  /** Goes back to a snapshot and makes sure that the blocks which follow have other hashes than before. */
  revert(snapshot: string): Promise<void>;
  close(): Promise<void>;
};

/**
 * A Hardhat chain in this process behind a JSON-RPC server of its own. By default a block is mined for every
 * transaction at once; `intervalMs` mines by time instead, `manual` only when told.
 */
export async function startLocalChain(
  chainId: number,
  options: { manual?: boolean; intervalMs?: number } = {},
): Promise<LocalChain> {
  const auto = options.manual !== true && options.intervalMs === undefined;
  const server = await network.createServer(
    {
      network: "alpha",
      override: { chainId, mining: { auto, interval: options.intervalMs ?? 0 }, loggingEnabled: false },
    },
    "127.0.0.1",
    0,
  );
  const { port } = await server.listen();
  const url = `http://127.0.0.1:${port}`;
  let salt = 0n;
  const rpc = <T>(method: string, params: readonly unknown[] = []) => requestJsonRpc<T>(url, method, params);
  return {
    chainId,
    url,
    rpc,
    // Not `hardhat_mine`: of many blocks it invents those between, and their parent hashes lead nowhere.
    mine: async (blocks = 1) => {
      for (let mined = 0; mined < blocks; mined++) await rpc("evm_mine");
    },
    height: async () => BigInt(await rpc<string>("eth_blockNumber")),
    snapshot: () => rpc<string>("evm_snapshot"),
    revert: async (snapshot) => {
      if ((await rpc<boolean>("evm_revert", [snapshot])) !== true) throw new Error("the snapshot is gone");
      salt += 1n;
      await rpc("hardhat_setPrevRandao", [numberToHex(salt, { size: 32 })]);
    },
    close: () => server.close(),
  };
}

let requestId = 0;

/** One JSON-RPC request over HTTP; throws with the node's message. */
export async function requestJsonRpc<T>(url: string, method: string, params: readonly unknown[]): Promise<T> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: ++requestId, method, params }),
  });
  const answer = (await response.json()) as { result: T; error?: { message: string } };
  if (answer.error !== undefined) throw new Error(answer.error.message);
  return answer.result;
}

/** Private key of one of the 20 funded accounts that every Hardhat chain starts with. */
export function localKey(index: number): Hex {
  const account = mnemonicToAccount("test test test test test test test test test test test junk", {
    addressIndex: index,
  });
  const key = account.getHdKey().privateKey;
  if (key === null) throw new Error("the account has no key");
  return `0x${Buffer.from(key).toString("hex")}`;
}
