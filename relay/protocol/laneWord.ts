import { encodeAbiParameters, hexToBigInt, numberToHex } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { keccak256 } from "#core/kernel/keccak.ts";

/**
 * What a gateway keeps of a lane besides its accumulator, as `LaneState.sol` packs it into one word: one read answers
 * everything that decides whether and how much may be delivered.
 */
export type LaneWord = {
  /** The newest message that was processed. */
  readonly nonce: bigint;
  /** Rises with every realignment. */
  readonly generation: number;
  readonly isPaused: boolean;
  /** Ids that are deferred and have not been met in a delivery yet. */
  readonly deferrals: number;
  /** A token bucket over messages; undefined without a limit. */
  readonly bucket?: Bucket;
};

type Bucket = {
  readonly used: bigint;
  /** Unix seconds since when it drains. */
  readonly usedAt: bigint;
  readonly capacity: bigint;
  /** Seconds in which a full bucket drains. */
  readonly window: bigint;
};

/** ERC-7201 slot of `lockstep.storage.Gateway`; its second member maps origins to inbound heads. */
const inboundMapping = 0x996d8636f86ce8c65931c72168b7f56f0b6190df19af5cb070bc228a51ce2900n + 1n;

/** Where a gateway keeps the head of the lane from an origin: its accumulator, and the word of this file after it. */
export function inboundSlots(originChainId: number): { accumulator: Hex; state: Hex } {
  const parameters = [{ type: "uint256" }, { type: "uint256" }] as const;
  const accumulator = keccak256(encodeAbiParameters(parameters, [BigInt(originChainId), inboundMapping]));
  return { accumulator, state: numberToHex(hexToBigInt(accumulator) + 1n, { size: 32 }) };
}

const field = (word: bigint, offset: bigint, bits: bigint): bigint => (word >> offset) & ((1n << bits) - 1n);

export function decodeLaneWord(hex: Hex): LaneWord {
  const word = hexToBigInt(hex);
  const capacity = field(word, 200n, 32n);
  return {
    nonce: field(word, 0n, 64n),
    generation: Number(field(word, 64n, 32n)),
    isPaused: field(word, 96n, 8n) !== 0n,
    deferrals: Number(field(word, 112n, 16n)),
    ...(capacity > 0n && {
      bucket: {
        ...{ used: field(word, 128n, 32n), usedAt: field(word, 160n, 40n) },
        ...{ capacity, window: field(word, 232n, 24n) },
      },
    }),
  };
}

/** The word as it is once `count` more messages are processed, up to `nonce`. */
export function advancedWord(hex: Hex, nonce: bigint, count: bigint): Hex {
  const word = hexToBigInt(hex);
  const { bucket } = decodeLaneWord(hex);
  const moved = (word & ~((1n << 64n) - 1n)) | nonce;
  if (!bucket) return numberToHex(moved, { size: 32 });
  const mask = ((1n << 32n) - 1n) << 128n;
  const used = bucket.used + count < bucket.capacity ? bucket.used + count : bucket.capacity;
  return numberToHex((moved & ~mask) | (used << 128n), { size: 32 });
}

/** Messages that the bucket lets through at a time (Unix seconds); undefined without a limit. */
export function availableAt({ bucket }: LaneWord, now: bigint): bigint | undefined {
  if (!bucket) return undefined;
  const used = bucket.used - drained(bucket, now);
  return used >= bucket.capacity ? 0n : bucket.capacity - (used > 0n ? used : 0n);
}

/** The first Unix second at which the bucket lets so many messages through, as many as it ever does at most. */
export function refilledAt({ bucket }: LaneWord, wanted: bigint): bigint {
  if (!bucket) return 0n;
  const least = wanted < bucket.capacity ? wanted : bucket.capacity;
  const surplus = bucket.used + least - bucket.capacity;
  if (surplus <= 0n) return 0n;
  return bucket.usedAt + (surplus * bucket.window + bucket.capacity - 1n) / bucket.capacity;
}

function drained({ usedAt, capacity, window }: Bucket, now: bigint): bigint {
  return now <= usedAt ? 0n : ((now - usedAt) * capacity) / window;
}
