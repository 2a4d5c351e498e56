import type { Hex } from "#core/kernel/codec.ts";
import type { ItemTerms, LockTerms } from "./lockId.ts";

const terms = [
  { name: "sender", type: "address" },
  { name: "recipient", type: "address" },
  { name: "token", type: "address" },
  { name: "amount", type: "uint256" },
  { name: "hashlock", type: "bytes32" },
  { name: "timelock", type: "uint64" },
  { name: "tip", type: "uint96" },
] as const;
const [sender, recipient, token, ...rest] = terms;
const itemTerms = [sender, recipient, token, { name: "tokenId", type: "uint256" }, ...rest] as const;
const once = [
  { name: "nonce", type: "uint256" },
  { name: "deadline", type: "uint256" },
] as const;

/** The same address on every chain that has it. */
export const permit2Address: Hex = "0x000000000022D473030F116dDEE9F6B43aC78BA3";

/** Where a signature counts: one timelock contract on one chain. */
export type TimelockDomain = { readonly chainId: number; readonly contract: Hex };

/** What keeps a signature from being used twice or late; the deadline is in Unix seconds and is the last good one. */
export type Once = { readonly nonce: bigint; readonly deadline: bigint };

const domainOf = ({ chainId, contract }: TimelockDomain) => ({
  name: "Lockstep HashedTimelock",
  version: "1",
  chainId,
  verifyingContract: contract,
});

/** What a sender signs so that anyone can call `lockSigned`. */
export function signedLockTypedData(domain: TimelockDomain, lock: LockTerms, { nonce, deadline }: Once) {
  return {
    domain: domainOf(domain),
    types: { SignedLock: [{ name: "terms", type: "Terms" }, ...once], Terms: terms } as const,
    primaryType: "SignedLock" as const,
    message: { terms: lock, nonce, deadline },
  };
}

/** What a sender signs so that anyone can call `lockItemSigned`. */
export function signedItemLockTypedData(domain: TimelockDomain, lock: ItemTerms, { nonce, deadline }: Once) {
  return {
    domain: domainOf(domain),
    types: { SignedItemLock: [{ name: "terms", type: "ItemTerms" }, ...once], ItemTerms: itemTerms } as const,
    primaryType: "SignedItemLock" as const,
    message: { terms: lock, nonce, deadline },
  };
}

/** What a recipient signs to let the lock of this id that was made at `lockedAt` (Unix seconds) be refunded at once. */
export function earlyRefundTypedData(domain: TimelockDomain, id: Hex, lockedAt: bigint, { nonce, deadline }: Once) {
  return {
    domain: domainOf(domain),
    types: {
      EarlyRefund: [{ name: "id", type: "bytes32" }, { name: "lockedAt", type: "uint256" }, ...once],
    } as const,
    primaryType: "EarlyRefund" as const,
    message: { id, lockedAt, nonce, deadline },
  };
}

/** What a sender signs for Permit2 so that anyone can call `lockWithPermit2`; nonce and deadline are Permit2's. */
export function permit2LockTypedData(
  { chainId, contract }: TimelockDomain,
  lock: LockTerms,
  { nonce, deadline }: Once,
) {
  return {
    domain: { name: "Permit2", chainId, verifyingContract: permit2Address },
    types: {
      PermitWitnessTransferFrom: [
        { name: "permitted", type: "TokenPermissions" },
        { name: "spender", type: "address" },
        ...once,
        { name: "witness", type: "Terms" },
      ],
      TokenPermissions: [
        { name: "token", type: "address" },
        { name: "amount", type: "uint256" },
      ],
      Terms: terms,
    } as const,
    primaryType: "PermitWitnessTransferFrom" as const,
    message: {
      permitted: { token: lock.token, amount: lock.amount },
      spender: contract,
      nonce,
      deadline,
      witness: lock,
    },
  };
}
