/**
 * The gas of a delivery: never estimated, because an estimate depends on what recipients do at that moment, and a
 * relayer that brings too little could make a message fail. All figures are upper bounds of what `deliver` takes;
 * `test/relay/gas.test.ts` holds them against the contract with recipients that use up all they get.
 */

/** EIP-7825. */
export const transactionGasCap = 1n << 24n;

/** What most pools and nodes accept of one transaction, less room for its other fields. */
export const calldataCap = 128 * 1024 - 1024;

const intrinsic = 21_000n;
/** EIP-2028 and EIP-7623, for bytes that are not zero. */
const calldataByte = 16n;
const calldataFloorByte = 40n;

/** Dispatch, guard, head and lane reads and writes, checkpoint digest. */
const deliveryBase = 60_000n;
/** Per validator of the set: copied, hashed, walked. */
const validatorGas = 1_500n;
/** Per signature: one `ecrecover` and what surrounds it. */
const signatureGas = 6_000n;
/** Per node of a Merkle-Patricia proof: copied, hashed, decoded, its path compared; 32,000 were measured. */
const proofNodeGas = 45_000n;
/** Per byte of the proof's nodes. */
const proofByteGas = 12n;
/** The oracle's call, its reads of header, generation and epoch, account and slot decoded. */
const proofBase = 80_000n;
/** Per id of a message that is left for later. */
const laterIdGas = 500n;
/** Per message besides its gas limit: id, cold account access, first write of a failure, event with its reason. */
const messageGas = 40_000n;
/** Per payload word: copies, hash. Memory that grows over a whole delivery is in `memoryGas`. */
const payloadWordGas = 60n;
/** What a first attempt must find on top of its gas limit, besides `marginOf` (the gateway's CALL_RESERVE). */
const callReserve = 12_000n;

const words = (bytes: number): number => Math.ceil(bytes / 32);

export type DeliveryShape = {
  readonly messages: readonly { readonly gasLimit: bigint; readonly payloadBytes: number }[];
  readonly validators: number;
  readonly signatures: number;
  readonly laterIds: number;
  /** The nodes of account and storage proof, in bytes each; left out where a checkpoint is signed. */
  readonly proof?: readonly number[];
};

/**
 * Length of `deliver`'s calldata in bytes, or of `deliverProven`'s, when all messages have attributes; each that has none
 * takes 32 less.
 */
export function deliverCalldataBytes({ messages, validators, signatures, laterIds, proof }: DeliveryShape): number {
  const packed = messages.reduce((sum, { payloadBytes }) => sum + 80 + payloadBytes, 0);
  const list = 1 + words(packed) + 1 + laterIds;
  // origin, block, count, first nonce; offsets of both proofs, messages, ids; then an offset and a length a node
  if (proof) return 4 + 32 * (8 + 2 + proof.reduce((sum, bytes) => sum + 2 + words(bytes), 0) + list);
  const fixed = 6 + 5; // checkpoint; offsets of set, signatures, messages, ids; first nonce
  const set = 1 + 1 + 1 + validators;
  return 4 + 32 * (fixed + set + 1 + 2 * signatures + list);
}

/** Gas limit of the transaction that makes a delivery. */
export function deliveryGas(shape: DeliveryShape): bigint {
  const bytes = deliverCalldataBytes(shape);
  const inner =
    deliveryBase +
    BigInt(shape.validators) * validatorGas +
    BigInt(shape.signatures) * signatureGas +
    BigInt(shape.laterIds) * laterIdGas +
    proofGas(shape.proof) +
    shape.messages.reduce((sum, message) => sum + attemptGas(message), 0n) +
    // The last message must still find that on top of its limit; what others did not use cannot be counted on.
    shape.messages.reduce((most, message) => (marginOf(message) > most ? marginOf(message) : most), 0n) +
    callReserve +
    memoryGas(3 * bytes);
  // The proxy in front copies the calldata once and passes on 63/64 (EIP-150).
  const execution = (inner * 64n) / 63n + memoryGas(bytes) + 10_000n;
  const standard = intrinsic + BigInt(bytes) * calldataByte + execution;
  const floor = intrinsic + BigInt(bytes) * calldataFloorByte;
  return standard > floor ? standard : floor;
}

function proofGas(nodes: readonly number[] | undefined): bigint {
  if (!nodes) return 0n;
  const bytes = nodes.reduce((sum, size) => sum + size, 0);
  return proofBase + BigInt(nodes.length) * proofNodeGas + BigInt(bytes) * proofByteGas;
}

/** Gas limit of the transaction that has a header attested: its quorum, its hash, three slots written. */
export function headerGas(shape: {
  readonly validators: number;
  readonly signatures: number;
  readonly rlpBytes: number;
}) {
  const bytes = 4 + 32 * (5 + 3 + 1 + words(shape.rlpBytes) + 3 + shape.validators + 1 + 2 * shape.signatures);
  const quorum = BigInt(shape.validators) * validatorGas + BigInt(shape.signatures) * signatureGas;
  return intrinsic + BigInt(bytes) * calldataFloorByte + 250_000n + quorum + memoryGas(6 * bytes);
}

/** The gateway asks for a twentieth of the gas limit and a unit for every byte of the payload. */
const marginOf = ({ gasLimit, payloadBytes }: DeliveryShape["messages"][number]): bigint =>
  gasLimit / 20n + BigInt(payloadBytes);

const attemptGas = ({ gasLimit, payloadBytes }: DeliveryShape["messages"][number]): bigint =>
  gasLimit + messageGas + BigInt(words(payloadBytes)) * payloadWordGas;

/** Gas limit of `retry`: more than the first attempt had, because a bigger limit is what may help. */
export function retryGas(message: { readonly gasLimit: bigint; readonly payloadBytes: number }): bigint {
  const once = deliveryGas({ messages: [message], validators: 0, signatures: 0, laterIds: 0 });
  const generous = once + message.gasLimit;
  return generous < transactionGasCap ? generous : transactionGasCap;
}

/** Gas limit of `sendMessage`: a log with the payload and two heads written for the first time. */
export function sendGas(payloadBytes: number): bigint {
  const bytes = BigInt(words(payloadBytes)) * 32n;
  return 200_000n + bytes * calldataFloorByte + memoryGas(6 * Number(bytes));
}

/** What memory of that size costs when it is all taken at once. */
function memoryGas(bytes: number): bigint {
  const size = BigInt(words(bytes));
  return 3n * size + (size * size) / 512n;
}
