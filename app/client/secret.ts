import { createHash, randomBytes } from "node:crypto";
import type { Hex } from "#core/kernel/codec.ts";
import { redact } from "#core/kernel/redacted.ts";

/** The 32 bytes that claim both legs of a swap. Whoever else has them before the swap is revealed can take the source leg. */
export type Secret = {
  /** SHA-256 of it, which the swap is requested with. */
  readonly hashlock: Hex;
  /** Calldata with the secret at an offset in bytes. */
  within(data: Hex, offset: number): Hex;
  /** To be kept until the swap has ended: without it nothing can be claimed. */
  reveal(): Hex;
};

/** A secret, made anew or the one that was kept. Prints as `[redacted]`. */
export function createSecret(kept: Hex = `0x${randomBytes(32).toString("hex")}`): Secret {
  if (!/^0x[0-9a-fA-F]{64}$/.test(kept)) throw new RangeError("a secret is 32 bytes as 0x-prefixed hex");
  const held = redact(kept);
  const hashlock: Hex = `0x${createHash("sha256")
    .update(Buffer.from(kept.slice(2), "hex"))
    .digest("hex")}`;
  return {
    hashlock,
    within(data, offset) {
      const from = 2 + 2 * offset;
      return `${data.slice(0, from)}${held.reveal().slice(2)}${data.slice(from + 64)}` as Hex;
    },
    reveal: held.reveal,
  };
}
