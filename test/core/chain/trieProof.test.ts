import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { concat, type Hex, keccak256, numberToHex, toRlp } from "viem";
import { emptyTrieRoot, provenValue } from "#core/chain/trieProof.ts";
import { verifyState } from "#core/chain/verifyState.ts";
import { isLockstepError } from "#core/kernel/errors.ts";

const account: Hex = "0x0123456789012345678901234567890123456789";
const slot = numberToHex(3, { size: 32 });
const pathOf = (key: Hex) => keccak256(key).slice(2);
const invalid = (error: unknown) => isLockstepError(error, "chain-answer-invalid");

/** A trie whose root is one node, so that it can be anything. */
const single = (node: Parameters<typeof toRlp>[0]) => {
  const encoded = toRlp(node);
  return { root: keccak256(encoded), proof: [encoded] };
};
const leaf = (path: string, value: Hex) => single([`0x${path.length % 2 === 0 ? "20" : "3"}${path}`, value]);
/** An extension with this compact path above another trie. */
const below = (compact: Hex, { root, proof }: ReturnType<typeof single>) => {
  const extension = single([compact, root]);
  return { root: extension.root, proof: [...extension.proof, ...proof] };
};

describe("a proof of a trie made by hand", () => {
  it("shows the value of the only key, and that there is no other", () => {
    const { root, proof } = leaf(pathOf(slot), "0x2a");
    assert.equal(provenValue(root, slot, proof), "0x2a");
    assert.equal(provenValue(root, account, proof), undefined);
    const [first, rest] = [pathOf(slot).slice(0, 1), pathOf(slot).slice(1)];
    const extended = below(`0x1${first}`, leaf(rest, "0x2a"));
    assert.equal(provenValue(extended.root, slot, extended.proof), "0x2a");
    assert.equal(provenValue(extended.root, account, extended.proof.slice(0, 1)), undefined);
    assert.throws(() => provenValue(extended.root, account, extended.proof), invalid);
  });

  it("shows that nothing is in an empty trie", () => {
    assert.equal(provenValue(emptyTrieRoot, slot, []), undefined);
    assert.equal(provenValue(emptyTrieRoot, slot, ["0x80"]), undefined);
    for (const proof of [["0x80", "0x80"], ["0x"], leaf(pathOf(slot), "0x2a").proof] as Hex[][]) {
      assert.throws(() => provenValue(emptyTrieRoot, slot, proof), invalid);
    }
  });

  it("shows nothing when a node is of no known kind or ends at a wrong depth", () => {
    const path = pathOf(slot);
    const branch = Array<Hex>(17).fill("0x");
    const tries = [
      leaf(path.slice(0, 62), "0x2a"),
      leaf(`${path}00`, "0x2a"),
      leaf("ab", "0x2a"),
      leaf(path, "0x"),
      single([`0x20${path}`, ["0x2a"]]),
      single([`0x40${path}`, "0x2a"]),
      single([`0x21${path}`, "0x2a"]),
      single(["0x", "0x2a"]),
      single([["0x20"], "0x2a"]),
      below("0x00", leaf(path, "0x2a")),
      single([`0x20${path}`, "0x2a", "0x2a"]),
      single([]),
      single("0x2a"),
      single(branch.slice(1)),
      single(branch.with(Number.parseInt(path.slice(0, 1), 16), "0x2a")),
      single([`0x00${path}`, branch]),
    ];
    for (const { root, proof } of tries) assert.throws(() => provenValue(root, slot, proof), invalid);
    const broken: Hex = "0xc3";
    assert.throws(() => provenValue(keccak256(broken), slot, [broken]), invalid);
  });

  it("gives an account and a slot only in the one encoding that they have", () => {
    const root = numberToHex(1, { size: 32 });
    const good = [numberToHex(1), numberToHex(2), root, root] satisfies Hex[];
    assert.deepEqual(readAccount(toRlp(good)), { nonce: 1n, balance: 2n, storageRoot: root, codeHash: root });
    const accounts: Hex[] = [
      toRlp(good.with(0, "0x0001")),
      toRlp(good.with(1, "0x00")),
      toRlp(good.with(1, concat(["0x01", root]))),
      toRlp(good.with(2, "0x01")),
      toRlp(good.with(3, "0x")),
      toRlp(good.slice(1)),
      toRlp([...good, "0x"]),
      concat([toRlp(good), "0x00"]),
      toRlp([good.slice(0, 1), ...good.slice(1)]),
      "0x01",
    ];
    for (const value of accounts) assert.throws(() => readAccount(value), invalid);

    assert.equal(readSlot("0x7f", 0x7f), numberToHex(0x7f, { size: 32 }));
    assert.equal(readSlot("0x8180", 0x80), numberToHex(0x80, { size: 32 }));
    // The node claims what a lenient reader would see.
    const slots: [Hex, number][] = [
      ["0x80", 0],
      ["0x00", 0],
      ["0x8101", 1],
      ["0x820001", 1],
      ["0x0100", 1],
      ["0xc101", 1],
      ["0xa001", 1],
      [concat(["0xa100", root]), 1],
    ];
    for (const [value, claimed] of slots) assert.throws(() => readSlot(value, claimed), invalid, value);
  });
});

const block = { number: 1n, hash: numberToHex(7, { size: 32 }) };

/** What `verifyState` reads out of an account leaf with this value. The node claims what a good account would have. */
function readAccount(value: Hex) {
  const { root, proof } = leaf(pathOf(account), value);
  const claims = { nonce: "0x1", balance: "0x2", codeHash: numberToHex(1, { size: 32 }) };
  const answer = { ...claims, address: account, storageHash: claims.codeHash, accountProof: proof, storageProof: [] };
  return verifyState({ ...block, stateRoot: root }, { address: account, slots: [] }, answer).account;
}

/** What it reads out of a slot's leaf with this value when the node claims that number. */
function readSlot(value: Hex, claimed: number) {
  const storage = leaf(pathOf(slot), value);
  const codeHash = numberToHex(1, { size: 32 });
  const { root, proof } = leaf(pathOf(account), toRlp(["0x01", "0x02", storage.root, codeHash]));
  const answer = {
    ...{ address: account, nonce: "0x1", balance: "0x2", codeHash, storageHash: storage.root },
    accountProof: proof,
    storageProof: [{ key: "0x3", value: numberToHex(claimed), proof: storage.proof }],
  };
  return verifyState({ ...block, stateRoot: root }, { address: account, slots: [slot] }, answer).storage[0]?.value;
}
