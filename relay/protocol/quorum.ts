import { encodeAbiParameters, parseAbiParameters } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { keccak256 } from "#core/kernel/keccak.ts";

const setParameters = parseAbiParameters([
  "uint256 originChainId, uint64 epoch, QuorumSet set",
  "struct QuorumSet { uint256[] validators; uint256 threshold; }",
]);

const highestWeight = (1n << 96n) - 1n;

type Validator = { readonly account: Hex; readonly weight: bigint };

/** How much weight makes a quorum. A super-majority is strictly more than the fraction. */
export type Threshold =
  | { readonly rule: "absoluteWeight"; readonly weight: bigint }
  | { readonly rule: "simpleMajority" }
  | { readonly rule: "superMajority"; readonly numerator: bigint; readonly denominator: bigint };

/** The validators of an origin chain in one epoch, in any order. */
export type QuorumSet = { readonly validators: readonly Validator[]; readonly threshold: Threshold };

export type QuorumState = { readonly weight: bigint; readonly totalWeight: bigint; readonly reached: boolean };

/** Sorts addresses as the contract compares them: as numbers. */
export const byAccount = (a: Hex, b: Hex): number => (BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0);

/** The set as the gateway's functions take it: validators sorted, each one word of account and weight. */
export function toContractSet({ validators, threshold }: QuorumSet) {
  return {
    validators: validators
      .toSorted((a, b) => byAccount(a.account, b.account))
      .map(({ account, weight }) => (BigInt(account) << 96n) | weight),
    threshold: toContractThreshold(threshold),
  };
}

/** The hash that the destination stores of an epoch. */
export function validatorSetHash(originChainId: number, epoch: bigint, set: QuorumSet): Hex {
  return keccak256(encodeAbiParameters(setParameters, [BigInt(originChainId), epoch, toContractSet(set)]));
}

/** Throws `config-invalid` for a set that the gateway would refuse. */
export function assertQuorumSet(set: QuorumSet): void {
  const accounts = set.validators.map(({ account }) => BigInt(account));
  const problem =
    (accounts.length === 0 && "is empty") ||
    (accounts.includes(0n) && "has the zero address in it") ||
    (new Set(accounts).size !== accounts.length && "has a validator twice") ||
    (set.validators.some(({ weight }) => weight <= 0n || weight > highestWeight) && "has a weight out of range") ||
    (!isSensible(set.threshold, totalWeight(set)) && "has a threshold that cannot be met or means no choice");
  if (problem) throw new LockstepError("config-invalid", `the validator set ${problem}`);
}

/** What the signers weigh together and whether that is a quorum. Signers twice count once, unknown ones nothing. */
export function evaluateQuorum(set: QuorumSet, signers: readonly Hex[]): QuorumState {
  const signed = new Set(signers.map((signer) => BigInt(signer)));
  const weight = set.validators.reduce(
    (sum, { account, weight }) => (signed.has(BigInt(account)) ? sum + weight : sum),
    0n,
  );
  return { weight, totalWeight: totalWeight(set), reached: isReached(set.threshold, weight, totalWeight(set)) };
}

const totalWeight = (set: QuorumSet): bigint => set.validators.reduce((sum, { weight }) => sum + weight, 0n);

function isReached(threshold: Threshold, weight: bigint, total: bigint): boolean {
  switch (threshold.rule) {
    case "absoluteWeight":
      return weight >= threshold.weight;
    case "simpleMajority":
      return weight * 2n > total;
    case "superMajority":
      return weight * threshold.denominator > total * threshold.numerator;
  }
}

function isSensible(threshold: Threshold, total: bigint): boolean {
  switch (threshold.rule) {
    case "absoluteWeight":
      return threshold.weight * 2n > total && threshold.weight <= total;
    case "simpleMajority":
      return true;
    case "superMajority":
      return threshold.numerator < threshold.denominator && threshold.numerator * 2n >= threshold.denominator;
  }
}

/** One word: the rule, and the two numbers of 120 bits that it may have. */
function toContractThreshold(threshold: Threshold): bigint {
  const word = (rule: bigint, value: bigint, outOf: bigint) => (rule << 240n) | (value << 120n) | outOf;
  switch (threshold.rule) {
    case "absoluteWeight":
      return word(0n, threshold.weight, 0n);
    case "simpleMajority":
      return word(1n, 0n, 0n);
    case "superMajority":
      return word(2n, threshold.numerator, threshold.denominator);
  }
}
