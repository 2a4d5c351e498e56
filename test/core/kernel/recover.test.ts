import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SigningKey } from "ethers";
import fc from "fast-check";
import { bytesToHex, concatHex, numberToHex, recoverAddress, sliceHex } from "viem";
import { privateKeyToAddress } from "viem/accounts";
import type { Hex } from "#core/kernel/codec.ts";
import { recoverSigner } from "#core/kernel/recover.ts";

const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const word = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => bytesToHex(bytes));
const key = word.filter((hex) => BigInt(hex) > 0n && BigInt(hex) < order);
const sign = (secret: Hex, digest: Hex) => new SigningKey(secret).sign(digest).serialized as Hex;

/** The other signature that anyone can make of one: r and −s, with the other parity. */
const malleated = (signature: Hex): Hex =>
  concatHex([
    sliceHex(signature, 0, 32),
    numberToHex(order - BigInt(sliceHex(signature, 32, 64)), { size: 32 }),
    sliceHex(signature, 64) === "0x1b" ? "0x1c" : "0x1b",
  ]);

describe("the signer of a digest", () => {
  it("is who signed it, also by what another library signed", () => {
    fc.assert(
      fc.property(key, word, (secret, digest) => {
        assert.equal(recoverSigner(digest, sign(secret, digest)), privateKeyToAddress(secret));
      }),
      { numRuns: 30 },
    );
  });

  it("is of any bytes the one that other libraries find, or none", async () => {
    const parity = fc.constantFrom<Hex>("0x1b", "0x1c");
    const low = word.map((hex) => numberToHex(BigInt(hex) % (order / 2n), { size: 32 }));
    await fc.assert(
      fc.asyncProperty(word, word, low, parity, async (hash, r, s, v) => {
        const signature = concatHex([r, s, v]);
        const expected = await recoverAddress({ hash, signature }).catch(() => undefined);
        assert.equal(recoverSigner(hash, signature), expected);
      }),
      { numRuns: 30 },
    );
  });

  it("is nobody for the other one of two signatures, and for what is none", () => {
    const secret = numberToHex(7n, { size: 32 });
    const digest = numberToHex(1n, { size: 32 });
    const signature = sign(secret, digest);
    const [r, s, v] = [sliceHex(signature, 0, 32), sliceHex(signature, 32, 64), sliceHex(signature, 64)];
    const zero = numberToHex(0n, { size: 32 });
    const past = numberToHex(order, { size: 32 });
    const none: Hex[] = [
      malleated(signature),
      concatHex([zero, s, v]),
      concatHex([past, s, v]),
      concatHex([r, zero, v]),
      concatHex([r, s, "0x00"]),
      concatHex([r, s]),
      concatHex([signature, "0x00"]),
      "0x",
    ];
    for (const bytes of none) assert.equal(recoverSigner(digest, bytes), undefined, bytes);
  });
});
