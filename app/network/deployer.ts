import {
  type Abi,
  createTestClient,
  createWalletClient,
  encodeDeployData,
  getAddress,
  http,
  publicActions,
  type TransactionReceipt,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Redacted } from "#core/kernel/redacted.ts";
import { bytecodeOf, type ContractName } from "./artifacts.ts";

/** Sets up a local chain as one account, one transaction after the other; nothing races there. */
export type Deployer = {
  readonly address: Hex;
  deploy(name: ContractName, abi: Abi, args: readonly unknown[]): Promise<Hex>;
  send(to: Hex, data: Hex): Promise<TransactionReceipt>;
  /** Gives an address a balance out of nothing, in wei. */
  fund(address: Hex, wei: bigint): Promise<void>;
  /** Moves a chain that lags behind this machine's clock up to it: its own begins when its process does. */
  catchUpTime(): Promise<void>;
};

export function createDeployer(deps: { url: string; key: Redacted<Hex> }): Deployer {
  const account = privateKeyToAccount(deps.key.reveal());
  const transport = http(deps.url);
  const wallet = createWalletClient({ account, transport, pollingInterval: 20 }).extend(publicActions);
  const cheats = createTestClient({ mode: "hardhat", transport });

  async function send(data: Hex, to?: Hex): Promise<TransactionReceipt> {
    const hash = await wallet.sendTransaction({ chain: null, data, ...(to && { to }) });
    const receipt = await wallet.waitForTransactionReceipt({ hash });
    if (receipt.status === "success") return receipt;
    throw new LockstepError("internal", "a set-up transaction of the local network reverted");
  }

  return {
    address: account.address,
    async deploy(name, abi, args) {
      const { contractAddress } = await send(encodeDeployData({ abi, bytecode: bytecodeOf(name), args }));
      if (contractAddress) return getAddress(contractAddress);
      throw new LockstepError("internal", `deploying ${name} gave no address`);
    },
    send: (to, data) => send(data, to),
    fund: (address, wei) => cheats.setBalance({ address, value: wei }),
    async catchUpTime() {
      const { timestamp } = await wallet.getBlock({ blockTag: "pending" });
      const lag = Math.floor(Date.now() / 1000) - Number(timestamp);
      if (lag > 0) await cheats.increaseTime({ seconds: lag });
    },
  };
}
