import { readFileSync } from "node:fs";
import { join } from "node:path";
import { network } from "hardhat";
import {
  type Abi,
  createPublicClient,
  createTestClient,
  createWalletClient,
  custom,
  getAddress,
  type Hex,
  type Log,
} from "viem";
import { mnemonicToAccount } from "viem/accounts";
import type { ChainLog } from "#core/chain/chain.ts";

const mnemonic = "test test test test test test test test test test test junk";

/** The accounts that every local chain funds. */
export const accounts = [0, 1, 2, 3, 4, 5].map((addressIndex) => mnemonicToAccount(mnemonic, { addressIndex }));

export type TestChain = Awaited<ReturnType<typeof openChain>>;

/** A fresh Hardhat chain in this process with viem's clients on it. */
export async function openChain(name: "alpha" | "beta") {
  const connection = await network.create(name);
  const transport = custom(connection.provider, { retryCount: 0 });
  const reader = createPublicClient({ transport, pollingInterval: 5, cacheTime: 0 });
  const wallet = createWalletClient({ transport });
  const cheat = createTestClient({ transport, mode: "hardhat" });
  const chainId = await reader.getChainId();

  /** Sends from one of `accounts` and answers the receipt; throws when the transaction reverts. */
  const send = async (from: number, call: { to: Hex; data: Hex; value?: bigint; gas?: bigint }) => {
    const hash = await wallet.sendTransaction({ account: accounts[from]!, chain: null, ...call });
    const receipt = await reader.getTransactionReceipt({ hash });
    if (receipt.status !== "success") throw new Error(`transaction ${hash} reverted`);
    return receipt;
  };
  const deploy = async (artifact: string, args: readonly unknown[] = []): Promise<Hex> => {
    const { abi, bytecode } = readArtifact(artifact);
    const hash = await wallet.deployContract({ account: accounts[0]!, chain: null, abi, bytecode, args });
    const { contractAddress } = await reader.getTransactionReceipt({ hash });
    if (!contractAddress) throw new Error(`${artifact} was not deployed`);
    return getAddress(contractAddress);
  };
  /** Puts a contract's code at an address without running its constructor: for views that depend on nothing else. */
  const place = async (artifact: string, address: Hex): Promise<void> => {
    await cheat.setCode({ address, bytecode: readArtifact(artifact).deployedBytecode });
  };
  return {
    chainId,
    reader,
    cheat,
    send,
    place,
    deploy,
    close: () => connection.close(),
  };
}

/** Logs of a receipt as the chain port shows them. */
export const chainLogs = (logs: readonly Log<bigint, number, false>[]): ChainLog[] =>
  logs.map(({ address, topics, data, blockNumber, blockHash, transactionHash, logIndex }) => ({
    address: getAddress(address),
    topics,
    data,
    blockNumber,
    blockHash,
    transactionHash,
    logIndex,
  }));

function readArtifact(path: string): { abi: Abi; bytecode: Hex; deployedBytecode: Hex } {
  return JSON.parse(readFileSync(join(import.meta.dirname, "../../artifacts", `${path}.json`), "utf8"));
}
