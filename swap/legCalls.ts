import {
  encodeFunctionData,
  erc20Abi,
  erc721Abi,
  erc1155Abi,
  maxUint256,
  parseAbi,
  parseSignature,
  zeroAddress,
} from "viem";
import { hashedTimelockAbi as abi } from "#core/abi/hashedTimelock.ts";
import type { CallRequest } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Call } from "#core/sender/sender.ts";
import type { LegTerms } from "./events.ts";
import { type AnyLock, idOf } from "./protocol/anyLock.ts";
import { type Authorization, encodeAnyClaim, encodeAnyRefund, encodeEarlyRefund } from "./protocol/closing.ts";
import { merkleRoot } from "./protocol/merkle.ts";
import { encodeLock } from "./protocol/timelock.ts";
import type { Terms } from "./swap.ts";

const permitAbi = parseAbi([
  "function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)",
]);

type Unnamed = Omit<Terms, "lockId" | "chain">;

/** The lock of a leg as the contract has it. */
export function lockOf({ asset, amount, batch, ...leg }: Unnamed, hashlock: Hex): AnyLock {
  const { sender, recipient, timelock, tip } = leg;
  const rest = { sender, recipient, hashlock, timelock, tip };
  switch (asset.type) {
    case "native":
    case "erc20": {
      const terms = { ...rest, token: asset.type === "native" ? zeroAddress : asset.address, amount };
      if (!batch) return { kind: "payment", terms };
      return { kind: "leaf", terms, root: merkleRoot(batch.leaves), index: batch.index };
    }
    case "erc721":
      // The contract tells the two kinds of items apart by the amount.
      return { kind: "item", terms: { ...rest, token: asset.address, tokenId: asset.tokenId, amount: 0n } };
    case "erc1155":
      return { kind: "item", terms: { ...rest, token: asset.address, tokenId: asset.tokenId, amount } };
  }
}

/** The id that the lock of a leg has on its chain. */
export const lockIdOf = (leg: Unnamed, hashlock: Hex): Hex =>
  idOf({ chainId: leg.chainId, contract: leg.timelockContract }, lockOf(leg, hashlock));

/** What the sender itself sends to lock; an entry of a batch is locked with the others. */
export function lockCall(leg: Terms, hashlock: Hex): Call {
  const lock = lockOf(leg, hashlock);
  const data =
    lock.kind === "item"
      ? encodeFunctionData({ abi, functionName: "lockItem", args: [lock.terms] })
      : encodeLock(lock.terms);
  const value = leg.tip + (leg.asset.type === "native" ? leg.amount : 0n);
  return { to: leg.timelockContract, data, value };
}

/** What anyone can send to lock for a sender who signed; the value is the tip, which the one who sends it brings. */
export function signedLockCall(leg: Terms, hashlock: Hex, via: "lock" | "permit2", signed: Authorization): Call {
  const lock = lockOf(leg, hashlock);
  const data =
    lock.kind === "item"
      ? encodeFunctionData({ abi, functionName: "lockItemSigned", args: [lock.terms, signed] })
      : encodeFunctionData({
          ...{ abi, functionName: via === "permit2" ? "lockWithPermit2" : "lockSigned" },
          args: [lock.terms, signed],
        });
  return { to: leg.timelockContract, data, value: leg.tip };
}

/** The claim of a leg. It carries the secret: keep it from logs, jobs and stores until that is public. */
export const claimCall = (leg: Terms, hashlock: Hex, secret: Hex): Call =>
  closing(leg, encodeAnyClaim(lockOf(leg, hashlock), secret, leg.batch?.leaves));

export const refundCall = (leg: Terms, hashlock: Hex): Call =>
  closing(leg, encodeAnyRefund(lockOf(leg, hashlock), leg.batch?.leaves));

/** The refund before the timelock that the recipient agreed to. */
export const earlyRefundCall = (leg: Terms, hashlock: Hex, signed: Authorization): Call =>
  closing(leg, encodeEarlyRefund(lockOf(leg, hashlock), signed, leg.batch?.leaves));

const closing = ({ timelockContract: to }: Terms, data: Hex): Call => ({ to, data, value: 0n });

/**
 * The allowance that a lock needs; undefined for coin, which needs none. Once and for everything: the spender is an
 * immutable contract that moves a sender's tokens only in a lock that the sender itself calls or has signed, and one
 * approval a swap would cost a transaction each.
 */
export function approveCall({ asset, timelockContract }: LegTerms, spender = timelockContract): Call | undefined {
  switch (asset.type) {
    case "native":
      return undefined;
    case "erc20": {
      const args = [spender, maxUint256] as const;
      const data = encodeFunctionData({ abi: erc20Abi, functionName: "approve", args });
      return { to: asset.address, data, value: 0n };
    }
    case "erc721":
    case "erc1155": {
      const args = [spender, true] as const;
      const data = encodeFunctionData({ abi: erc721Abi, functionName: "setApprovalForAll", args });
      return { to: asset.address, data, value: 0n };
    }
  }
}

/** The allowance of exactly the amount that the sender of the leg signed, as anyone can send it to the token. */
export function permitCall({ asset, sender, timelockContract, amount }: LegTerms, permit: Authorization): Call {
  if (asset.type !== "erc20") throw new LockstepError("internal", "only an ERC-20 has permits");
  const { r, s, yParity } = parseSignature(permit.signature);
  const args = [sender, timelockContract, amount, permit.deadline, 27 + yParity, r, s] as const;
  return { to: asset.address, data: encodeFunctionData({ abi: permitAbi, functionName: "permit", args }), value: 0n };
}

/** What the timelock would send to pay the recipient out; undefined for coin, whose payout cannot fail. */
export function payoutCall({ asset, amount, recipient, timelockContract: from }: LegTerms): CallRequest | undefined {
  switch (asset.type) {
    case "native":
      return undefined;
    case "erc20": {
      const args = [recipient, amount] as const;
      return { from, to: asset.address, data: encodeFunctionData({ abi: erc20Abi, functionName: "transfer", args }) };
    }
    case "erc721": {
      const args = [from, recipient, asset.tokenId] as const;
      const data = encodeFunctionData({ abi: erc721Abi, functionName: "transferFrom", args });
      return { from, to: asset.address, data };
    }
    case "erc1155": {
      const args = [from, recipient, asset.tokenId, amount, "0x"] as const;
      const data = encodeFunctionData({ abi: erc1155Abi, functionName: "safeTransferFrom", args });
      return { from, to: asset.address, data };
    }
  }
}
