import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { type Redacted, redact } from "./redacted.ts";

const ivBytes = 12;
const tagBytes = 16;

/**
 * Authenticated encryption at rest. `context` is bound to the ciphertext (AES-GCM additional data), so a sealed value
 * copied to another row does not open there.
 */
export type Sealer = {
  seal(plain: Uint8Array, context: string): Buffer;
  /** Throws when the key, the context or a byte differs. */
  open(sealed: Uint8Array, context: string): Buffer;
};

/** AES-256-GCM with a random 96-bit nonce a message (NIST SP 800-38D); layout: nonce ‖ tag ‖ ciphertext. */
export function createSealer(key: Redacted<Uint8Array>): Sealer {
  if (key.reveal().length !== 32) throw new RangeError("a sealing key has 32 bytes");
  return {
    seal(plain, context) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv("aes-256-gcm", key.reveal(), iv).setAAD(Buffer.from(context));
      const body = Buffer.concat([cipher.update(plain), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), body]);
    },
    open(sealed, context) {
      const bytes = Buffer.from(sealed);
      const decipher = createDecipheriv("aes-256-gcm", key.reveal(), bytes.subarray(0, ivBytes))
        .setAAD(Buffer.from(context))
        .setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes));
      return Buffer.concat([decipher.update(bytes.subarray(ivBytes + tagBytes)), decipher.final()]);
    },
  };
}

/** 32 bytes for one purpose that tell nothing about the key or about those for others: HKDF with SHA-256 (RFC 5869). */
export function deriveKey(key: Redacted<Uint8Array>, purpose: string): Redacted<Uint8Array> {
  return redact(new Uint8Array(hkdfSync("sha256", key.reveal(), "", `lockstep ${purpose}`, 32)));
}
