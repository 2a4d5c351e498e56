import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { encodeFunctionResult, zeroAddress } from "viem";
import { type ExpectedLock, type FinalReader, verifyClaim } from "#app/client/index.ts";
import { hashedTimelockAbi as abi } from "#core/abi/hashedTimelock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { type AnyLock, idOf } from "#swap/protocol/anyLock.ts";
import { encodeAnyClaim, encodeAnyRefund, encodeOpenLeaves } from "#swap/protocol/closing.ts";
import { batchId } from "#swap/protocol/lockId.ts";
import { merkleRoot } from "#swap/protocol/merkle.ts";
import { encodeIsOpen } from "#swap/protocol/timelock.ts";
import { hexOf } from "#test/swap/samples.ts";

const place = { chainId: 7, contract: hexOf("c", 20) };
const token = hexOf("e", 20);
const terms = {
  ...{ sender: hexOf("b", 20), recipient: hexOf("a", 20), token: zeroAddress, amount: 5n },
  ...{ hashlock: hexOf("1"), timelock: 1_000n, tip: 0n },
};
const expected: ExpectedLock = {
  ...{ chainId: 7, timelock: place.contract, asset: { type: "native" }, amount: 5n, recipient: terms.recipient },
  ...{ hashlock: terms.hashlock, openUntil: 900n },
};
const others = [hexOf("2"), hexOf("3"), hexOf("4")];
const noSecret = hexOf("0");

/** A chain that has these locks open and nothing else. */
function chainWith(locks: readonly { lock: AnyLock; leaves?: readonly Hex[] }[]): FinalReader & { asked: string[] } {
  const asked: string[] = [];
  const answers = new Map(
    locks.map(({ lock, leaves }) =>
      lock.kind === "leaf"
        ? [
            encodeOpenLeaves(batchId(place.chainId, place.contract, merkleRoot(leaves ?? []))),
            encodeFunctionResult({ abi, functionName: "openLeaves", result: 1n << BigInt(lock.index) }),
          ]
        : [encodeIsOpen(idOf(place, lock)), encodeFunctionResult({ abi, functionName: "isOpen", result: true })],
    ),
  );
  return {
    asked,
    async call({ to, data, blockTag }) {
      asked.push(blockTag);
      assert.equal(to, place.contract);
      const closed = data.startsWith(encodeOpenLeaves(hexOf("0")).slice(0, 10))
        ? encodeFunctionResult({ abi, functionName: "openLeaves", result: 0n })
        : encodeFunctionResult({ abi, functionName: "isOpen", result: false });
      return { data: answers.get(data) ?? closed };
    },
  };
}

const payment: AnyLock = { kind: "payment", terms };
const leafLock: AnyLock = { kind: "leaf", terms, root: "0x", index: 2 };
const leaves = [others[0]!, others[1]!, idOf(place, leafLock), others[2]!];
const nft: AnyLock = { kind: "item", terms: { ...terms, token, tokenId: 8n, amount: 0n } };
const items: AnyLock = { kind: "item", terms: { ...terms, token, tokenId: 8n, amount: 5n } };
const cases: readonly { name: string; lock: AnyLock; leaves?: readonly Hex[]; wanted: ExpectedLock }[] = [
  { name: "coin", lock: payment, wanted: expected },
  { name: "coin in a batch", lock: leafLock, leaves, wanted: expected },
  {
    name: "tokens",
    lock: { kind: "payment", terms: { ...terms, token } },
    wanted: { ...expected, asset: { type: "erc20", address: token } },
  },
  {
    name: "an ERC-721",
    lock: nft,
    wanted: { ...expected, asset: { type: "erc721", address: token, tokenId: 8n }, amount: 1n },
  },
  { name: "ERC-1155s", lock: items, wanted: { ...expected, asset: { type: "erc1155", address: token, tokenId: 8n } } },
];

const refused = (error: unknown) => isLockstepError(error, "lock-unverified");

describe("the look before a secret is shown", () => {
  for (const { name, lock, leaves, wanted } of cases) {
    const claim = { to: place.contract, data: encodeAnyClaim(lock, noSecret, leaves) };
    const open = () => chainWith([{ lock, ...(leaves && { leaves }) }]);

    it(`lets a lock of ${name} pass that is as asked for and open in a final block`, async () => {
      const chain = open();
      await verifyClaim(claim, wanted, chain);
      assert.deepEqual(chain.asked, ["finalized"]);
    });

    it(`refuses a lock of ${name} that is not open, or of which the chain says nothing`, async () => {
      await assert.rejects(verifyClaim(claim, wanted, chainWith([])), refused);
      await assert.rejects(verifyClaim(claim, wanted, { call: async () => ({}) }), refused);
    });

    it(`refuses a lock of ${name} in which anything is other than asked for`, async () => {
      const other = {
        ...{ timelock: hexOf("d", 20), amount: wanted.amount + 1n, recipient: hexOf("f", 20), hashlock: hexOf("8") },
        ...{ openUntil: 1_001n, chainId: 8 },
        asset: { type: "erc20", address: hexOf("9", 20) },
      };
      for (const [field, value] of Object.entries(other)) {
        await assert.rejects(verifyClaim(claim, { ...wanted, [field]: value }, open()), refused, field);
      }
    });
  }

  it("refuses tokens of another id, and whatever is no claim", async () => {
    const chain = () => chainWith([{ lock: nft }]);
    const claim = { to: place.contract, data: encodeAnyClaim(nft, noSecret) };
    const wanted = { ...expected, asset: { type: "erc721", address: token, tokenId: 9n }, amount: 1n };
    await assert.rejects(verifyClaim(claim, wanted, chain()), refused);
    const refund = { to: place.contract, data: encodeAnyRefund(payment) };
    await assert.rejects(verifyClaim(refund, expected, chainWith([{ lock: payment }])), refused);
  });

  it("never passes calldata with a byte changed in the terms, whatever the chain has open", async () => {
    const { data } = { data: encodeAnyClaim(payment, noSecret) };
    const bytes = (data.length - 2) / 2 - 32;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: bytes - 1 }), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const place_ = 2 + 2 * at;
        const byte = Number.parseInt(data.slice(place_, place_ + 2), 16) ^ flip;
        const changed = `${data.slice(0, place_)}${byte.toString(16).padStart(2, "0")}${data.slice(place_ + 2)}` as Hex;
        await assert.rejects(
          verifyClaim({ to: place.contract, data: changed }, expected, chainWith([{ lock: payment }])),
        );
      }),
    );
  });
});
