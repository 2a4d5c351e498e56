import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { bytesToHex, getAddress, type Hex } from "viem";
import { isLockstepError } from "#core/kernel/errors.ts";
import { decodeInteroperable, encodeInteroperable } from "#relay/protocol/interoperable.ts";

describe("an interoperable address", () => {
  it("names the account that it was made of", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
        fc.uint8Array({ minLength: 20, maxLength: 20 }),
        (chainId, bytes) => {
          const account = { chainId, address: getAddress(bytesToHex(bytes)) };
          assert.deepEqual(decodeInteroperable(encodeInteroperable(account)), account);
        },
      ),
    );
  });

  it("is refused when it names no account on an EVM chain", () => {
    const account = "11".repeat(20);
    const refused: Hex[] = [
      "0x",
      "0x0001",
      `0x00020000010114${account}`,
      `0x00010002010114${account}`,
      `0x000100000014${account}`,
      "0x000100000101",
      "0x00010000010100",
      `0x00010000010113${"11".repeat(19)}`,
      `0x00010000010114${account}00`,
      `0x00010000010114${"11".repeat(19)}`,
      `0x0001000008ffffffffffffffff14${account}`,
      `0x00010000ff0114${account}`,
      // Another spelling of chain 1.
      `0x0001000002000114${account}`,
    ];
    for (const encoded of refused) {
      assert.throws(
        () => decodeInteroperable(encoded),
        (error: unknown) => isLockstepError(error, "request-invalid"),
      );
    }
  });
});
