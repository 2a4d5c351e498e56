import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { bytesToHex, decodeAbiParameters, encodeAbiParameters, type Hex, parseAbiParameters } from "viem";
import { bytesAt, bytesListAt } from "#relay/protocol/words.ts";

const parameters = parseAbiParameters("bytes, uint256, bytes, bytes[]");
const bytes = fc.uint8Array({ maxLength: 100 }).map((value) => bytesToHex(value));
const values = fc.tuple(bytes, fc.bigInt({ min: 0n, max: 2n ** 64n }), bytes, fc.array(bytes, { maxLength: 5 }));
const decode = (data: Hex) => [bytesAt(data, 0), bytesAt(data, 2), bytesListAt(data, 3)] as const;

describe("bytes in ABI-encoded data", () => {
  it("are those that were encoded", () => {
    fc.assert(
      fc.property(values, (given) => {
        const [first, , third, list] = given;
        assert.deepEqual(decode(encodeAbiParameters(parameters, given)), [first, third, list]);
      }),
    );
  });

  it("are those that the library finds or none, whatever is done to the data", () => {
    const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 15 }));
    fc.assert(
      fc.property(values, fc.array(change, { maxLength: 3 }), fc.nat(), (given, changes, cut) => {
        const digits = [...encodeAbiParameters(parameters, given).slice(2)];
        for (const [at, digit] of changes) digits[at % digits.length] = digit.toString(16);
        const data: Hex = `0x${digits.slice(0, digits.length - 2 * (cut % 3)).join("")}`;
        let found: ReturnType<typeof decode> | undefined;
        try {
          found = decode(data);
        } catch (error) {
          assert.ok(error instanceof RangeError, String(error));
          return;
        }
        try {
          const [first, , third, list] = decodeAbiParameters(parameters, data);
          assert.deepEqual(found, [first, third, list]);
        } catch (error) {
          // The library also refuses what cannot harm here, such as several items in one place.
          if (error instanceof assert.AssertionError) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});
