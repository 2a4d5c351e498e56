import { decodeFunctionData, encodeFunctionData, zeroAddress } from "viem";
import { hashedTimelockAbi as abi } from "#core/abi/hashedTimelock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type AnyLock, assetTypeOf, idOf } from "#swap/protocol/anyLock.ts";
import { decodeIsLeafOpen, encodeOpenLeaves } from "#swap/protocol/closing.ts";
import { batchId } from "#swap/protocol/lockId.ts";
import { rootOf } from "#swap/protocol/merkle.ts";
import { decodeIsOpen, encodeIsOpen } from "#swap/protocol/timelock.ts";

/** Answers a call at a final block of one chain, as viem's public client does. */
export type FinalReader = {
  call(question: { to: Hex; data: Hex; blockTag: "finalized" }): Promise<{ data?: Hex | undefined }>;
};

/** What an initiator asked for, and what the lock that pays it therefore has to be. */
export type ExpectedLock = {
  readonly chainId: number;
  /** The HashedTimelock that the initiator trusts on that chain. */
  readonly timelock: Hex;
  readonly asset: { readonly type: string; readonly address?: Hex; readonly tokenId?: bigint };
  readonly amount: bigint;
  readonly recipient: Hex;
  readonly hashlock: Hex;
  /** Unix seconds that the lock has to be claimable at least until. */
  readonly openUntil: bigint;
};

/**
 * The last look of an initiator before its secret leaves: what the claim claims is the lock that was asked for, and the
 * chain itself says, at a final block, that it is there and open. Throws `lock-unverified` with what is wrong: then the
 * secret must not be shown, and the refund is what is left.
 */
export async function verifyClaim(
  { to, data }: { to: Hex; data: Hex },
  expected: ExpectedLock,
  reader: FinalReader,
): Promise<void> {
  const claim = decodeClaim(data);
  const lock = claim.lock;
  const { terms } = lock;
  const is = assetTypeOf(lock);
  const amount = is === "erc721" ? 1n : terms.amount;
  const item = "tokenId" in terms ? terms.tokenId : undefined;
  const faults = [
    !same(to, expected.timelock) && `the claim goes to ${to}`,
    is !== expected.asset.type && `it is of ${is}`,
    !same(terms.token, expected.asset.address ?? zeroAddress) && `its token is ${terms.token}`,
    item !== expected.asset.tokenId && `its token id is ${item}`,
    amount !== expected.amount && `its amount is ${amount}`,
    !same(terms.recipient, expected.recipient) && `it pays ${terms.recipient}`,
    !same(terms.hashlock, expected.hashlock) && "its hashlock is another one",
    terms.timelock < expected.openUntil && `it can be claimed only until ${terms.timelock}`,
  ].filter((fault) => fault !== false);
  if (faults.length > 0) throw unverified(faults.join("; "));
  if (!(await isOpen(claim, { chainId: expected.chainId, contract: to }, reader))) {
    throw unverified("no final block of its chain has it open");
  }
}

type Claim = { readonly lock: AnyLock; readonly proof: readonly Hex[] };

function decodeClaim(data: Hex): Claim {
  const call = decodeFunctionData({ abi, data });
  // Padding that the decoder here passes over makes the contract revert, when the secret is out already.
  if (encodeFunctionData({ abi, ...call } as never) !== data.toLowerCase())
    throw unverified("its calldata is not as it should be written");
  const { functionName, args } = call;
  switch (functionName) {
    case "claim":
      return { lock: { kind: "payment", terms: args[0] }, proof: [] };
    case "claimItem":
      return { lock: { kind: "item", terms: args[0] }, proof: [] };
    case "claimLeaf":
      return { lock: { kind: "leaf", terms: args[0], root: "0x", index: Number(args[1]) }, proof: args[2] };
    default:
      throw unverified(`the transaction calls ${functionName}`);
  }
}

async function isOpen({ lock, proof }: Claim, place: { chainId: number; contract: Hex }, reader: FinalReader) {
  const id = idOf(place, lock);
  const ask = async (data: Hex) => (await reader.call({ to: place.contract, data, blockTag: "finalized" })).data;
  if (lock.kind !== "leaf") {
    const answer = await ask(encodeIsOpen(id));
    return answer !== undefined && decodeIsOpen(answer);
  }
  const answer = await ask(encodeOpenLeaves(batchId(place.chainId, place.contract, rootOf(id, proof))));
  return answer !== undefined && decodeIsLeafOpen(answer, lock.index);
}

const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();

const unverified = (why: string) =>
  new LockstepError("lock-unverified", `the lock that pays is not as asked for: ${why}`);
