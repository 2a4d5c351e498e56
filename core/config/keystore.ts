import { type BinaryLike, scrypt } from "node:crypto";
import { z } from "zod";
import type { Hex } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";
import { parseJson } from "../kernel/json.ts";
import { type Redacted, redact } from "../kernel/redacted.ts";

/** Bytes that deriving one key may take; the usual cost (N = 2^17, r = 8) takes a quarter. */
const mostMemory = 512 * 1024 * 1024;
const mostParallel = 16;
const mostRounds = 10_000_000;

const positive = z.int().positive();

/** What is checked before a file can make this process spend memory or time. */
const boundedSchema = z.looseObject({
  version: z.union([z.literal(3), z.literal("3")]),
  crypto: z.looseObject({
    kdfparams: z.union([
      z
        .looseObject({ n: positive, r: positive, p: positive.max(mostParallel) })
        .refine(({ n, r }) => 128 * n * r <= mostMemory),
      z.looseObject({ c: positive.max(mostRounds) }),
    ]),
  }),
});

/** Decrypts a keystore (Web3 Secret Storage, version 3). Throws `config-invalid`, which tells nothing of what is in it. */
export async function openKeystore(
  json: Redacted<string>,
  password: Redacted<string>,
  field: string,
): Promise<Redacted<Hex>> {
  if (!boundedSchema.safeParse(lowerKeys(parseJson(json.reveal()))).success) {
    throw invalid(field, "expected a keystore of version 3 (Web3 Secret Storage) of usual cost");
  }
  const { decryptKeystoreJson } = await loadEthers();
  try {
    const { privateKey } = await decryptKeystoreJson(json.reveal(), Buffer.from(password.reveal().normalize("NFKC")));
    return redact(privateKey as Hex);
  } catch {
    // The library's error may quote what it was given.
    throw invalid(field, "the password does not open the keystore, or the keystore is damaged");
  }
}

/** A keystore for a key, as text. */
export async function sealKeystore(key: Redacted<Hex>, password: Redacted<string>): Promise<string> {
  const { computeAddress, encryptKeystoreJson } = await loadEthers();
  const account = { address: computeAddress(key.reveal()), privateKey: key.reveal() };
  return encryptKeystoreJson(account, Buffer.from(password.reveal().normalize("NFKC")));
}

/** True for what looks like one (Web3 Secret Storage, version 3), whatever its password. */
export const isKeystore = (json: string): boolean =>
  z.looseObject({ version: z.literal(3), crypto: z.looseObject({}) }).safeParse(lowered(parseJson(json))).success;

/** Some write `Crypto`. */
const lowered = (given: unknown): unknown =>
  typeof given === "object" && given !== null
    ? Object.fromEntries(Object.entries(given).map(([key, value]) => [key.toLowerCase(), value]))
    : given;

/** The address that a keystore says it is for; undefined where it does not, or is none. */
export function keystoreAddress(json: string): string | undefined {
  const { data } = z.looseObject({ version: z.unknown(), address: z.string() }).safeParse(parseJson(json));
  const bare = data?.address.replace(/^0x/i, "");
  return bare && /^[0-9a-fA-F]{40}$/.test(bare) ? `0x${bare.toLowerCase()}` : undefined;
}

/** Slow to import, so only where a keystore is used; keys are derived by Node in a thread of its own. */
async function loadEthers() {
  const { computeAddress, decryptKeystoreJson, encryptKeystoreJson, scrypt: derivation } = await import("ethers");
  derivation.register(derive);
  return { computeAddress, decryptKeystoreJson, encryptKeystoreJson };
}

const derive = (password: BinaryLike, salt: BinaryLike, N: number, r: number, p: number, length: number) =>
  new Promise<Buffer>((resolve, reject) => {
    scrypt(password, salt, length, { N, r, p, maxmem: 2 * mostMemory }, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });

/** Programs differ in how they spell the names. */
function lowerKeys(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key.toLowerCase(), lowerKeys(inner)]));
}

const invalid = (field: string, message: string) =>
  new LockstepError("config-invalid", `${field}: ${message}`, { details: { field } });
