import { signRecoverable } from "tiny-secp256k1";
import { serializeTransaction, type TransactionSerializableEIP1559, type TypedDataDefinition } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import type { Hex } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";
import { keccak256 } from "../kernel/keccak.ts";
import type { Redacted } from "../kernel/redacted.ts";

/** The managed accounts of this process. Keys go in and never come out. */
export type KeyStore = {
  names(): readonly string[];
  /** Throws `account-unknown`. */
  address(name: string): Hex;
  /** Signs an EIP-1559 transaction. Throws `account-unknown`, and as `Signer` says. */
  signTransaction(name: string, transaction: UnsignedTransaction): Promise<{ raw: Hex; hash: Hex }>;
  /** Signs EIP-712 data. Throws `account-unknown`, and as `Signer` says. */
  signTypedData(name: string, data: TypedDataDefinition): Promise<Hex>;
};

export type UnsignedTransaction = Omit<TransactionSerializableEIP1559, "type">;

/**
 * Signs for one account, wherever its key is. One whose key is elsewhere throws `signer-unreachable` when it does not
 * answer, `signer-refused` when it does not want to, and `signer-wrong` when what it answers is not what was asked for.
 */
export type Signer = {
  readonly address: Hex;
  /** Signs exactly these fields. */
  signTransaction(transaction: UnsignedTransaction): Promise<{ raw: Hex; hash: Hex }>;
  signTypedData(data: TypedDataDefinition): Promise<Hex>;
};

/**
 * Accounts by name, each with its key or with what signs for it. Throws `config-invalid` for a key that is none, and for
 * one address under two names: two senders with one nonce sequence would fight.
 */
export function createKeyStore(accounts: Readonly<Record<string, Redacted<Hex> | Signer>>): KeyStore {
  const byName = new Map<string, Signer>();
  for (const [name, account] of Object.entries(accounts)) {
    const signer = "reveal" in account ? createLocalSigner(account, name) : account;
    const twin = [...byName].find(([, other]) => other.address === signer.address);
    if (twin !== undefined) {
      throw new LockstepError("config-invalid", `accounts ${twin[0]} and ${name} have the same key`, {
        details: { field: `accounts.${name}` },
      });
    }
    byName.set(name, signer);
  }
  const find = (name: string) => {
    const account = byName.get(name);
    if (account !== undefined) return account;
    throw new LockstepError("account-unknown", `there is no managed account ${name}`, { details: { account: name } });
  };
  return {
    names: () => [...byName.keys()],
    address: (name) => find(name).address,
    signTransaction: async (name, transaction) => find(name).signTransaction(transaction),
    signTypedData: async (name, data) => find(name).signTypedData(data),
  };
}

function createLocalSigner(key: Redacted<Hex>, name: string): Signer {
  const account = toAccount(name, key);
  return {
    address: account.address,
    async signTransaction(transaction) {
      const whole = { ...transaction, type: "eip1559" } as const;
      const raw = serializeTransaction(whole, signatureOf(keccak256(serializeTransaction(whole)), key));
      return { raw, hash: keccak256(raw) };
    },
    signTypedData: (data) => account.signTypedData(data),
  };
}

/** By libsecp256k1 (RFC 6979, low s): the same signature as in JavaScript, in a fraction of the time. */
function signatureOf(digest: Hex, key: Redacted<Hex>): { r: Hex; s: Hex; yParity: number } {
  const bytes = (hex: Hex) => Buffer.from(hex.slice(2), "hex");
  const { signature, recoveryId } = signRecoverable(bytes(digest), bytes(key.reveal()));
  const hex = Buffer.from(signature).toString("hex");
  return { r: `0x${hex.slice(0, 64)}`, s: `0x${hex.slice(64)}`, yParity: recoveryId };
}

/** The library's error would quote the key, so it is not passed on. */
function toAccount(name: string, key: Redacted<Hex>) {
  try {
    return privateKeyToAccount(key.reveal());
  } catch {
    throw new LockstepError("config-invalid", `the key of account ${name} is not a private key`, {
      details: { field: `accounts.${name}` },
    });
  }
}
