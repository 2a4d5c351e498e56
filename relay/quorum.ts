import type { Hex } from "#core/kernel/codec.ts";
import type { CheckpointSignature } from "./protocol/calls.ts";
import { evaluateQuorum, type QuorumSet } from "./protocol/quorum.ts";

/** One validator's signed word about one lane, already verified. Addresses are checksummed. */
export type Attestation = {
  /** The validators' epoch that it is signed under. */
  readonly epoch: bigint;
  readonly validator: Hex;
  readonly nonce: bigint;
  readonly accumulator: Hex;
  readonly signature: Hex;
};

export type QuorumAt = { readonly nonce: bigint; readonly signatures: readonly CheckpointSignature[] };

/**
 * The signatures of a quorum at exactly this nonce, the fewest that do: each costs gas. All are of the set's epoch. A
 * validator that is in the list twice signs once. Undefined without a quorum.
 */
export function quorumAt(set: QuorumSet, attestations: readonly Attestation[], nonce: bigint): QuorumAt | undefined {
  const atNonce = attestations.filter((attestation) => attestation.nonce === nonce);
  const bySigner = new Map(atNonce.map(({ validator, signature }) => [validator, signature]));
  const heaviestFirst = [...bySigner].toSorted(([a], [b]) => Number(weightOf(set, b) - weightOf(set, a)));
  const signatures: CheckpointSignature[] = [];
  for (const [signer, signature] of heaviestFirst) {
    if (weightOf(set, signer) === 0n) break;
    signatures.push({ signer, signature });
    if (isQuorum(set, signatures)) return { nonce, signatures };
  }
  return undefined;
}

/** The highest nonce within the bounds that has a quorum of signatures. */
export function highestQuorum(
  set: QuorumSet,
  attestations: readonly Attestation[],
  bounds: { readonly from: bigint; readonly to: bigint },
): QuorumAt | undefined {
  const nonces = new Set(attestations.map(({ nonce }) => nonce));
  const downwards = [...nonces].filter((nonce) => nonce >= bounds.from && nonce <= bounds.to);
  for (const nonce of downwards.toSorted((a, b) => Number(b - a))) {
    const found = quorumAt(set, attestations, nonce);
    if (found) return found;
  }
  return undefined;
}

/** The newest nonce that each validator signed. */
export function headsOf(attestations: readonly Attestation[]): Map<Hex, bigint> {
  const heads = new Map<Hex, bigint>();
  for (const { validator, nonce } of attestations) {
    if (nonce > (heads.get(validator) ?? 0n)) heads.set(validator, nonce);
  }
  return heads;
}

/**
 * The highest nonce that a quorum of validators has passed. Whoever signed a later one has this one in its hash chain
 * and signs it when asked.
 */
export function quorumHead(set: QuorumSet, heads: ReadonlyMap<Hex, bigint>): bigint {
  const newestFirst = [...heads].toSorted(([, a], [, b]) => Number(b - a));
  const signers: Hex[] = [];
  for (const [validator, nonce] of newestFirst) {
    signers.push(validator);
    if (evaluateQuorum(set, signers).reached) return nonce;
  }
  return 0n;
}

const isQuorum = (set: QuorumSet, signatures: readonly CheckpointSignature[]): boolean => {
  const signers = signatures.map(({ signer }) => signer);
  return evaluateQuorum(set, signers).reached;
};

function weightOf(set: QuorumSet, validator: Hex): bigint {
  return set.validators.find(({ account }) => account === validator)?.weight ?? 0n;
}
