import { numberToHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import type { DeployedChain } from "#app/network/settings.ts";
import { localKey, requestJsonRpc } from "#test/support/localChain.ts";

export type Hex = `0x${string}`;
type Call = { readonly to?: Hex; readonly data?: Hex; readonly gas?: bigint; readonly value?: bigint };

/** One funded account on one chain, used by nobody else, that counts its own nonces. */
export type Wallet = {
  readonly chain: DeployedChain;
  readonly address: Hex;
  rpc<T = unknown>(method: string, params?: readonly unknown[]): Promise<T>;
  /** Signs the account's next transaction; send them in this order. */
  sign(call: Call): Promise<Hex>;
  /** Hands signed bytes to the chain, which mines them at once. */
  send(raw: Hex): Promise<Hex>;
  deploy(bytecode: Hex): Promise<Hex>;
};

const fees = { maxFeePerGas: 20_000_000_000n, maxPriorityFeePerGas: 1_000_000_000n };

export async function createWallet(chain: DeployedChain, index = 0): Promise<Wallet> {
  const account = privateKeyToAccount(localKey(index));
  const rpc = <T>(method: string, params: readonly unknown[] = []) => requestJsonRpc<T>(chain.url, method, params);
  let nonce = Number(await rpc<Hex>("eth_getTransactionCount", [account.address, "latest"]));
  await rpc("hardhat_setBalance", [account.address, numberToHex(10n ** 24n)]);
  const sign = ({ gas = 10_000_000n, ...call }: Call) =>
    account.signTransaction({ type: "eip1559", chainId: chain.chainId, nonce: nonce++, gas, ...call, ...fees });
  const send = (raw: Hex) => rpc<Hex>("eth_sendRawTransaction", [raw]);
  return {
    chain,
    address: account.address,
    rpc,
    sign,
    send,
    async deploy(data) {
      const hash = await send(await sign({ data }));
      const receipt = await rpc<{ contractAddress: Hex; status: Hex }>("eth_getTransactionReceipt", [hash]);
      if (receipt.status !== "0x1") throw new Error("a contract of the benchmark cannot be deployed");
      return receipt.contractAddress;
    },
  };
}
