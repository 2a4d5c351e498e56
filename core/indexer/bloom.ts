import { hexToBytes } from "viem";
import type { Hex } from "../kernel/codec.ts";
import { keccak256 } from "../kernel/keccak.ts";

const bits = 2_048;

/**
 * False when a block with this bloom filter holds no log of the address for certain; true may be chance. (Three bits
 * of 2,048 by the low 11 bits of the hash's first three pairs of bytes: yellow paper, 4.3.1.)
 */
export function mayHoldLogsOf(address: Hex, bloom: Hex): boolean {
  const filter = hexToBytes(bloom);
  if (filter.length * 8 !== bits) return true;
  const digest = hexToBytes(keccak256(address));
  return [0, 2, 4].every((at) => {
    const bit = (((digest[at] ?? 0) << 8) | (digest[at + 1] ?? 0)) & (bits - 1);
    return ((filter[filter.length - 1 - (bit >> 3)] ?? 0) & (1 << (bit & 7))) !== 0;
  });
}
