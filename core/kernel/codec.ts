import { getAddress, isAddress } from "viem";
import { z } from "zod";

export type Hex = `0x${string}`;

const maxUint256 = (1n << 256n) - 1n;
const hexText = z.custom<Hex>((value) => typeof value === "string" && value.startsWith("0x"));

/** Hex text of one form on the wire, and one spelling in code so that equal values are equal strings. */
const hexCodec = (pattern: RegExp, expected: string, spell: (text: Hex) => Hex, valid = (_: string) => true) =>
  z
    .codec(
      z.string().refine((text) => pattern.test(text) && valid(text), `expected ${expected}`),
      hexText,
      { decode: (text) => spell(text as Hex), encode: (value) => value },
    )
    .meta({ type: "string", pattern: pattern.source });

/** Spellings of addresses met lately: a burst of logs is from one contract, and the checksum is a hash. */
const spellings = new Map<Hex, Hex>();
const mostSpellings = 1_024;

/** A valid address with its ERC-55 checksum, the one spelling that addresses have in code. */
export function checksummed(text: Hex): Hex {
  const known = spellings.get(text);
  if (known) return known;
  if (spellings.size === mostSpellings) spellings.clear();
  const spelled = getAddress(text);
  spellings.set(text, spelled);
  return spelled;
}

const lower = (text: Hex) => text.toLowerCase() as Hex;

/**
 * A whole number from 0 to 2^256 − 1: a decimal string on the wire (JSON, events, configuration), a bigint in code.
 */
export const uint = z
  .codec(
    z.custom<`${bigint}`>(
      (text) => typeof text === "string" && /^(0|[1-9][0-9]{0,77})$/.test(text) && BigInt(text) <= maxUint256,
      "expected a whole number from 0 to 2^256 - 1 as a decimal string",
    ),
    z.bigint(),
    { decode: (text) => BigInt(text), encode: (value) => `${value}` as const },
  )
  .meta({ type: "string", pattern: "^(0|[1-9][0-9]{0,77})$" });

/** Whole bytes of any length as 0x-prefixed hex. */
export const hex = hexCodec(/^0x(?:[0-9a-fA-F]{2})*$/, "0x-prefixed hex of whole bytes", lower);

/** 32 bytes as 0x-prefixed hex. */
export const hash = hexCodec(/^0x[0-9a-fA-F]{64}$/, "32 bytes as 0x-prefixed hex", lower);

/** A 20-byte address; one in mixed case must carry a right ERC-55 checksum. */
export const address = hexCodec(
  /^0x[0-9a-fA-F]{40}$/,
  "a 20-byte address as 0x-prefixed hex (in mixed case with a valid checksum)",
  checksummed,
  (text) => text === text.toLowerCase() || isAddress(text, { strict: true }),
);
