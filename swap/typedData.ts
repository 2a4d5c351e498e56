import { decodeFunctionResult, domainSeparator, encodeFunctionData, parseAbi, type TypedDataDefinition } from "viem";
import type { Chain } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { keccak256 } from "#core/kernel/keccak.ts";
import { recoverSigner } from "#core/kernel/recover.ts";
import type { LegName, LegTerms, SignatureKind } from "./events.ts";
import { lockOf } from "./legCalls.ts";
import {
  earlyRefundTypedData,
  type Once,
  permit2Address,
  permit2LockTypedData,
  signedItemLockTypedData,
  signedLockTypedData,
} from "./protocol/typedData.ts";
import type { Swap } from "./swap.ts";

const permitAbi = parseAbi([
  "function name() view returns (string)",
  "function version() view returns (string)",
  "function nonces(address owner) view returns (uint256)",
  "function DOMAIN_SEPARATOR() view returns (bytes32)",
]);

/**
 * What the sender of a leg can sign instead of sending its lock. Nothing but the owner's transaction moves coin, so who
 * sends a signed lock would bring the tip, and anyone can take that: a leg with a tip is locked by its sender alone.
 */
export function lockSignatures({ asset, tip }: Pick<LegTerms, "asset" | "tip">): SignatureKind[] {
  if (asset.type === "native" || tip > 0n) return [];
  return asset.type === "erc20" ? ["lock", "permit", "permit2"] : ["lock"];
}

/** A nonce that nobody has to look up: one lock is signed once in each way. */
export const nonceOf = (leg: LegTerms, kind: SignatureKind): bigint =>
  BigInt(keccak256(`0x${leg.lockId.slice(2)}${Buffer.from(kind).toString("hex")}`));

/** What a party signs for a leg, as EIP-712 has it. Undefined where the token has no permit that anyone could check. */
export async function typedDataOf(
  chain: Chain,
  swap: Swap,
  name: LegName,
  kind: SignatureKind,
  once: Once,
): Promise<TypedDataDefinition | undefined> {
  const leg = swap.terms[name];
  const domain = { chainId: leg.chainId, contract: leg.timelockContract };
  const on = lockOf(leg, swap.hashlock);
  switch (kind) {
    case "lock":
      if (on.kind === "item") return signedItemLockTypedData(domain, on.terms, once) as TypedDataDefinition;
      return signedLockTypedData(domain, on.terms, once) as TypedDataDefinition;
    case "permit2":
      if (!(await chain.account(permit2Address)).hasCode) return undefined;
      return on.kind === "payment" ? (permit2LockTypedData(domain, on.terms, once) as TypedDataDefinition) : undefined;
    case "permit":
      return permitTypedData(chain, leg, once);
    case "early-refund": {
      const { lock } = swap.legs[name];
      return lock && (earlyRefundTypedData(domain, leg.lockId, lock.at, once) as TypedDataDefinition);
    }
  }
}

/** The nonce that a token asks of its owner's next permit; undefined where it knows no permits. */
export async function permitNonce(chain: Chain, { asset, sender }: LegTerms): Promise<bigint | undefined> {
  if (asset.type !== "erc20") return undefined;
  return (await read(chain, asset.address, "nonces", [sender])) as bigint | undefined;
}

/**
 * ERC-2612, for exactly the leg's amount. Tokens do not say how their domain is made up, so the usual one is tried, and
 * left out unless it has the separator that the token itself uses.
 */
async function permitTypedData(
  chain: Chain,
  { asset, sender, timelockContract, amount, chainId }: LegTerms,
  { nonce, deadline }: Once,
): Promise<TypedDataDefinition | undefined> {
  if (asset.type !== "erc20") return undefined;
  const verifyingContract = asset.address;
  const [name, version, separator] = await Promise.all(
    (["name", "version", "DOMAIN_SEPARATOR"] as const).map((each) => read(chain, asset.address, each, [])),
  );
  if (typeof name !== "string" || separator === undefined) return undefined;
  const domain = { name, version: typeof version === "string" ? version : "1", chainId, verifyingContract };
  if (domainSeparator({ domain }) !== separator) return undefined;
  return {
    domain,
    types: {
      Permit: [
        { name: "owner", type: "address" },
        { name: "spender", type: "address" },
        { name: "value", type: "uint256" },
        { name: "nonce", type: "uint256" },
        { name: "deadline", type: "uint256" },
      ],
    },
    primaryType: "Permit",
    message: { owner: sender, spender: timelockContract, value: amount, nonce, deadline },
  };
}

/** Undefined where the contract has no such function or answers something else. */
async function read(
  chain: Chain,
  to: Hex,
  functionName: "name" | "version" | "nonces" | "DOMAIN_SEPARATOR",
  args: readonly Hex[],
): Promise<unknown> {
  const call = { abi: permitAbi, functionName, args } as never;
  try {
    return decodeFunctionResult({
      ...(call as object),
      data: await chain.call({ to, data: encodeFunctionData(call) }),
    } as never);
  } catch (error) {
    if (isLockstepError(error) && error.code !== "call-reverted") throw error;
    return undefined;
  }
}

/**
 * Throws `signature-invalid` unless the signature is the account's: by its key, or as its contract (ERC-1271) says where
 * that counts as well.
 */
export async function requireSignature(
  chain: Chain,
  signer: Hex,
  { digest, signature, byKey }: { readonly digest: Hex; readonly signature: Hex; readonly byKey: boolean },
): Promise<void> {
  const recovered = recoverSigner(digest, signature);
  if (recovered === signer) return;
  if (!byKey && (await chain.account(signer)).hasCode) {
    const data = encodeFunctionData({ abi: walletAbi, functionName: "isValidSignature", args: [digest, signature] });
    try {
      if ((await chain.call({ to: signer, data })).startsWith(magicValue)) return;
    } catch (error) {
      if (!isLockstepError(error, "call-reverted")) throw error;
    }
  }
  const who = recovered === undefined ? "it is no signature" : `it is by ${recovered}`;
  throw new LockstepError("signature-invalid", `signature: expected one by ${signer} over the typed data; ${who}`, {
    details: { field: "signature", signer },
  });
}

const walletAbi = parseAbi(["function isValidSignature(bytes32 hash, bytes signature) view returns (bytes4)"]);
/** ERC-1271: the function's own selector. */
const magicValue = "0x1626ba7e";
