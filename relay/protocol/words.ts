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
