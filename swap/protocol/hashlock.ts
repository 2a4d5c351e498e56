import { createHash } from "node:crypto";
import { hexToBytes } from "viem";
import type { Hex } from "#core/kernel/codec.ts";

/** SHA-256 of a secret, which must be exactly 32 bytes because the contract hashes one word. */
export function hashlockOf(secret: Hex): Hex {
  const bytes = hexToBytes(secret);
  if (bytes.length !== 32) throw new RangeError("a secret has 32 bytes");
  return `0x${createHash("sha256").update(bytes).digest("hex")}`;
}
