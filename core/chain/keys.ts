import {
  parseSignature,
  serializeTransaction,
  type TransactionSerializableEIP1559,
  type TypedDataDefinition,
} from "viem";
import { type PrivateKeyAccount, privateKeyToAccount } from "viem/accounts";
import type { Hex } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";
import { keccak256 } from "../kernel/keccak.ts";
import type { Redacted } from "../kernel/redacted.ts";

/** The managed accounts of this process. Keys go in and never come out. */
export type KeyStore = {
  names(): readonly string[];
  /** Throws `account-unknown`. */
  address(name: string): Hex;
  /** Signs an EIP-1559 transaction. Throws `account-unknown`. */
  signTransaction(name: string, transaction: UnsignedTransaction): Promise<{ raw: Hex; hash: Hex }>;
  /** Signs EIP-712 data. Throws `account-unknown`. */
  signTypedData(name: string, data: TypedDataDefinition): Promise<Hex>;
};

type UnsignedTransaction = Omit<TransactionSerializableEIP1559, "type">;

/**
 * Accounts by name. Throws `config-invalid` for a key that is none, and for one key under two names: two senders with
 * one nonce sequence would fight.
 */
export function createKeyStore(accounts: Readonly<Record<string, Redacted<Hex>>>): KeyStore {
  const byName = new Map<string, PrivateKeyAccount>();
  for (const [name, key] of Object.entries(accounts)) {
    const account = toAccount(name, key);
    const twin = [...byName].find(([, other]) => other.address === account.address);
    if (twin !== undefined) {
      throw new LockstepError("config-invalid", `accounts ${twin[0]} and ${name} have the same key`, {
        details: { field: `accounts.${name}` },
      });
    }
    byName.set(name, account);
  }
  const find = (name: string) => {
    const account = byName.get(name);
    if (account !== undefined) return account;
    throw new LockstepError("account-unknown", `there is no managed account ${name}`, { details: { account: name } });
  };
  return {
    names: () => [...byName.keys()],
    address: (name) => find(name).address,
    async signTransaction(name, transaction) {
      const whole = { ...transaction, type: "eip1559" } as const;
      const signature = parseSignature(await find(name).sign({ hash: keccak256(serializeTransaction(whole)) }));
      const raw = serializeTransaction(whole, signature);
      return { raw, hash: keccak256(raw) };
    },
    signTypedData: async (name, data) => find(name).signTypedData(data),
  };
}

/** The library's error would quote the key, so it is not passed on. */
function toAccount(name: string, key: Redacted<Hex>): PrivateKeyAccount {
  try {
    return privateKeyToAccount(key.reveal());
  } catch {
    throw new LockstepError("config-invalid", `the key of account ${name} is not a private key`, {
      details: { field: `accounts.${name}` },
    });
  }
}
