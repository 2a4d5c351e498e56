import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import { z } from "zod";
import { address, hash, hex, uint } from "#core/kernel/codec.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer } from "#core/kernel/seal.ts";

describe("codecs", () => {
  it("carry every number below 2^256 through a decimal string, and no other", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }), (n) => z.decode(uint, z.encode(uint, n)) === n),
    );
    for (const bad of ["", "-1", "1.0", "01", "1e3", "0x10", " 1", (1n << 256n).toString(), "9".repeat(78)]) {
      assert.equal(uint.safeParse(bad).success, false, bad);
    }
  });

  it("spell equal values alike", () => {
    assert.equal(hash.parse(`0x${"AB".repeat(32)}`), `0x${"ab".repeat(32)}`);
    assert.equal(
      address.parse("0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"),
      "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    );
    assert.equal(hex.parse("0xAB"), "0xab");
  });

  it("refuse addresses of wrong length or checksum, and odd hex", () => {
    for (const bad of [
      "0x",
      "0x12",
      "f39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
      "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    ]) {
      assert.equal(address.safeParse(bad).success, false, bad);
    }
    for (const bad of ["0xabc", "abcd", "0xzz"]) assert.equal(hex.safeParse(bad).success, false, bad);
  });
});

describe("a redacted value", () => {
  it("is printed nowhere", () => {
    const value = redact("hunter2");
    const shown = [
      String(value),
      JSON.stringify({ value }),
      inspect({ value }, { depth: 9, showHidden: true }),
      `${value}`,
    ];
    for (const text of shown) assert.doesNotMatch(text, /hunter2/);
    assert.equal(value.reveal(), "hunter2");
  });
});

describe("a sealer", () => {
  const key = () => redact(randomBytes(32));

  it("opens what it sealed, and never seals the same way twice", () => {
    const sealer = createSealer(key());
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.string(), (plain, context) => {
        const [a, b] = [sealer.seal(plain, context), sealer.seal(plain, context)];
        assert.notDeepEqual(a, b);
        assert.deepEqual(Buffer.from(plain), sealer.open(a, context));
      }),
    );
  });

  it("opens nothing under another key or context, or with a bit changed", () => {
    const sealer = createSealer(key());
    const sealed = sealer.seal(Buffer.from("secret"), "row 1");
    assert.throws(() => createSealer(key()).open(sealed, "row 1"));
    assert.throws(() => sealer.open(sealed, "row 2"));
    fc.assert(
      fc.property(fc.nat({ max: sealed.length * 8 - 1 }), (bit) => {
        const changed = Buffer.from(sealed);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        assert.throws(() => sealer.open(changed, "row 1"));
      }),
    );
  });

  it("opens what a previous key sealed, seals by the new one, and says which is which", () => {
    const [old, next] = [key(), key()];
    const [before, during, after] = [createSealer(old), createSealer(next, [old]), createSealer(next)];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.string(), (plain, context) => {
        const [former, latter] = [before.seal(plain, context), during.seal(plain, context)];
        assert.deepEqual(during.open(former, context), Buffer.from(plain));
        assert.deepEqual(after.open(latter, context), Buffer.from(plain));
        assert.throws(() => after.open(former, context));
        assert.ok(latter.subarray(0, 9).equals(after.mark) && former.subarray(0, 9).equals(before.mark));
      }),
    );
    assert.notDeepEqual(before.mark, after.mark);
  });

  it("takes only keys of 32 bytes", () => {
    assert.throws(() => createSealer(redact(randomBytes(31))), RangeError);
  });
});
