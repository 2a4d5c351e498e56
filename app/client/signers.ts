import type { Account, Chain, Transport, TypedDataDefinition, WalletClient } from "viem";
import type { Hex } from "#core/kernel/codec.ts";

/** A transaction as the service shows it, ready to be sent. */
type ReadyTransaction = { readonly to: Hex; readonly data: Hex; readonly value: bigint };

/** Typed data as wallets take it (EIP-712, `eth_signTypedData_v4`). */
type WireTypedData = Readonly<Record<string, unknown>>;

/** What a party outside the service acts with: its address, and what signs and sends for it on each chain. */
export type Signer = {
  readonly address: Hex;
  signTypedData(chain: string, data: WireTypedData): Promise<Hex>;
  /** Resolves with the hash once the transaction is in a block and succeeded. Throws when it reverted. */
  send(chain: string, transaction: ReadyTransaction): Promise<Hex>;
};

/** viem: a wallet client for each chain, all of one account; and what asks each chain about receipts. */
export function fromViem(
  wallets: Readonly<Record<string, WalletClient<Transport, Chain | undefined, Account>>>,
  receipts: Readonly<Record<string, { waitForTransactionReceipt(of: { hash: Hex }): Promise<{ status: string }> }>>,
): Signer {
  const address = one(Object.values(wallets).map(({ account }) => account.address));
  return {
    address,
    signTypedData: (chain, data) => {
      const wallet = at(wallets, chain);
      return wallet.signTypedData({ ...(data as TypedDataDefinition), account: wallet.account });
    },
    async send(chain, { to, data, value }) {
      const wallet = at(wallets, chain);
      const hash = await wallet.sendTransaction({
        account: wallet.account,
        chain: wallet.chain ?? null,
        to,
        data,
        value,
      });
      const { status } = await at(receipts, chain).waitForTransactionReceipt({ hash });
      if (status !== "success") throw new Error(`${hash} on ${chain} reverted`);
      return hash;
    },
  };
}

/** The part of an ethers v6 signer that is used, so that ethers is not loaded here. */
export type EthersSigner = {
  getAddress(): Promise<string>;
  signTypedData(
    domain: object,
    types: Record<string, { name: string; type: string }[]>,
    value: object,
  ): Promise<string>;
  sendTransaction(
    transaction: ReadyTransaction,
  ): Promise<{ wait(): Promise<{ status?: number | null; hash: string } | null> }>;
};

/** ethers: a signer for each chain, connected to that chain's provider, all of one account. */
export async function fromEthers(signers: Readonly<Record<string, EthersSigner>>): Promise<Signer> {
  const address = one(await Promise.all(Object.values(signers).map((signer) => signer.getAddress())));
  return {
    address,
    async signTypedData(chain, data) {
      const { domain, types, message } = data as {
        domain: object;
        types: Record<string, { name: string; type: string }[]>;
        message: object;
      };
      // ethers derives the domain's type itself and refuses to be given it.
      const { EIP712Domain: _, ...own } = types;
      return (await at(signers, chain).signTypedData(domain, own, message)) as Hex;
    },
    async send(chain, transaction) {
      const receipt = await (await at(signers, chain).sendTransaction(transaction)).wait();
      if (receipt?.status !== 1) throw new Error(`a transaction on ${chain} reverted`);
      return receipt.hash as Hex;
    },
  };
}

function at<T>(by: Readonly<Record<string, T>>, chain: string): T {
  const found = by[chain];
  if (found === undefined) throw new RangeError(`there is nothing to act with on ${chain}`);
  return found;
}

function one(addresses: readonly string[]): Hex {
  const [first, ...others] = addresses;
  if (first === undefined) throw new RangeError("expected something to act with on at least one chain");
  if (others.some((other) => other !== first)) throw new RangeError("expected one account on all chains");
  return first as Hex;
}
