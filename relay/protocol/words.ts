import type { Hex } from "#core/kernel/codec.ts";

/**
 * Values side by side as the ABI lays out those of fixed size: a word of 32 bytes each, numbers and addresses with zeros
 * before them. For what is hashed for every message, where the library's encoder takes ten times as long. Hex has to be an
 * address or 32 bytes; numbers are not negative.
 */
export function words(...values: readonly (Hex | bigint | number)[]): Hex {
  let text = "0x";
  for (const value of values) {
    const digits = typeof value === "string" ? value.slice(2) : value.toString(16);
    if (digits.length > 64) throw new RangeError("a value is longer than a word");
    text += digits.padStart(64, "0");
  }
  return text as Hex;
}

/** The word at a place of ABI-encoded data; throws `RangeError` when the data is shorter. */
export function wordAt(data: Hex, place: number): Hex {
  const digits = data.slice(2 + 64 * place, 2 + 64 * (place + 1));
  if (digits.length < 64) throw new RangeError("the data ends before the word");
  return `0x${digits}`;
}

/**
 * The bytes whose place is in the word at `place` of ABI-encoded data, counted from word `base` on. Throws `RangeError`
 * when the data is shorter.
 */
export function bytesAt(data: Hex, place: number, base = 0): Hex {
  const at = base + wordsAt(data, base + place);
  const start = 2 + 64 * (at + 1);
  const length = 2 * sizeAt(data, at);
  const digits = data.slice(start, start + length);
  if (digits.length < length) throw new RangeError("the data ends before its bytes");
  return `0x${digits}`;
}

/** As `bytesAt`, for a list of bytes. */
export function bytesListAt(data: Hex, place: number): Hex[] {
  const at = wordsAt(data, place);
  const count = sizeAt(data, at);
  if (count * 64 > data.length) throw new RangeError("the data ends before its list");
  return Array.from({ length: count }, (_, index) => bytesAt(data, index, at + 1));
}

/** A number of bytes or of items. */
const sizeAt = (data: Hex, place: number): number => {
  const size = BigInt(wordAt(data, place));
  if (size > BigInt(data.length)) throw new RangeError("the data ends before what it announces");
  return Number(size);
};

/** An offset, which Solidity makes of whole words. */
const wordsAt = (data: Hex, place: number): number => {
  const offset = sizeAt(data, place);
  if (offset % 32 !== 0) throw new RangeError("an offset is within a word");
  return offset / 32;
};
