import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { type Redacted, redact } from "./redacted.ts";

const ivBytes = 12;
const tagBytes = 16;
const keyBytes = 32;
/** The first byte of the layout that names its key. */
const layout = 1;
const idBytes = 8;

/**
 * Authenticated encryption at rest. `context` is bound to the ciphertext (AES-GCM additional data), so a sealed value
 * copied to another row does not open there.
 */
export type Sealer = {
  seal(plain: Uint8Array, context: string): Buffer;
  /** Throws when no key opens it, or the context or a byte differs. */
  open(sealed: Uint8Array, context: string): Buffer;
  /** What everything begins with that is sealed now: values that begin otherwise may need a previous key. */
  readonly mark: Buffer;
};

/**
 * AES-256-GCM with a random 96-bit nonce a message (NIST SP 800-38D). Layout: 1 ‖ id of the key ‖ nonce ‖ tag ‖
 * ciphertext. What was sealed before keys had ids (nonce ‖ tag ‖ ciphertext) and what previous keys sealed still opens.
 */
export function createSealer(key: Redacted<Uint8Array>, previous: readonly Redacted<Uint8Array>[] = []): Sealer {
  const keys = [key, ...previous];
  if (keys.some((each) => each.reveal().length !== keyBytes)) throw new RangeError("a sealing key has 32 bytes");
  const marked = keys.map((each) => ({ key: each, mark: Buffer.concat([Buffer.of(layout), idOf(each)]) }));
  const mark = marked[0]?.mark ?? Buffer.alloc(0);
  return {
    mark,
    seal: (plain, context) => Buffer.concat([mark, encrypt(key, plain, context)]),
    open(sealed, context) {
      const bytes = Buffer.from(sealed);
      const named = marked.filter((each) => bytes.subarray(0, each.mark.length).equals(each.mark));
      // Random bytes can begin like a mark: what does not open as what it seems to be may be of the layout without.
      const ways = [
        ...named.map((each) => ({ key: each.key, body: bytes.subarray(each.mark.length) })),
        ...keys.map((each) => ({ key: each, body: bytes })),
      ];
      for (const way of ways) {
        const plain = decrypt(way.key, way.body, context);
        if (plain !== undefined) return plain;
      }
      throw new Error("no key opens what is sealed here");
    },
  };
}

/** 32 bytes for one purpose that tell nothing about the key or about those for others: HKDF with SHA-256 (RFC 5869). */
export function deriveKey(key: Redacted<Uint8Array>, purpose: string): Redacted<Uint8Array> {
  return redact(new Uint8Array(hkdfSync("sha256", key.reveal(), "", `lockstep ${purpose}`, keyBytes)));
}

const idOf = (key: Redacted<Uint8Array>) => Buffer.from(deriveKey(key, "sealing key id").reveal()).subarray(0, idBytes);

function encrypt(key: Redacted<Uint8Array>, plain: Uint8Array, context: string): Buffer {
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv("aes-256-gcm", key.reveal(), iv).setAAD(Buffer.from(context));
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), body]);
}

function decrypt(key: Redacted<Uint8Array>, body: Buffer, context: string): Buffer | undefined {
  if (body.length < ivBytes + tagBytes) return undefined;
  try {
    const decipher = createDecipheriv("aes-256-gcm", key.reveal(), body.subarray(0, ivBytes), {
      authTagLength: tagBytes,
    })
      .setAAD(Buffer.from(context))
      .setAuthTag(body.subarray(ivBytes, ivBytes + tagBytes));
    return Buffer.concat([decipher.update(body.subarray(ivBytes + tagBytes)), decipher.final()]);
  } catch {
    return undefined;
  }
}
