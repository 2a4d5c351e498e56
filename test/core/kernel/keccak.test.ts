import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { bytesToHex, keccak256 as reference } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { keccak256 } from "#core/kernel/keccak.ts";

describe("keccak256", () => {
  it("is that of the Ethereum libraries, for any bytes, one after the other", () => {
    // 136 bytes are one block of the sponge: lengths around it and its multiples are where padding goes wrong.
    const lengths = fc.oneof(fc.nat(300), fc.constantFrom(0, 1, 135, 136, 137, 271, 272, 273, 40_000));
    const bytes = lengths.chain((length) => fc.uint8Array({ minLength: length, maxLength: length }));
    fc.assert(
      fc.property(bytes, (value) => {
        assert.equal(keccak256(bytesToHex(value)), reference(value));
      }),
    );
  });

  it("refuses what is not whole bytes, instead of hashing a part of it", () => {
    for (const text of ["0x1", "0xzz", "0x12g4", "12"]) {
      assert.throws(() => keccak256(text as Hex), RangeError);
    }
  });
});
