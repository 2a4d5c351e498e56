import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { encodeFunctionData, type Hex, keccak256, numberToHex } from "viem";
import { testTokenAbi } from "#core/abi/testToken.ts";
import { type BlockHeader, readBlockHeader } from "#core/chain/blockHeader.ts";
import { emptyTrieRoot } from "#core/chain/trieProof.ts";
import { verifyState } from "#core/chain/verifyState.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { accounts, openChain, type TestChain } from "#test/contracts/chains.ts";
import { flipped, headerAt, mappingSlot, type NodeProof, neighbours, proofAt, rawBlock } from "#test/support/state.ts";

const holders = accounts.map(({ address }) => address) as [Hex, Hex, Hex, Hex, Hex, Hex];
const nobody: Hex = "0x00000000000000000000000000000000000aBCdE";
const word = (value: bigint): Hex => numberToHex(value, { size: 32 });
const balanceSlot = (holder: Hex) => mappingSlot("address", holder, 0n);
const supplySlot = word(2n);

describe("a node's answer about state", () => {
  let chain: TestChain;
  let token: Hex;
  let block: BlockHeader;
  before(async () => {
    chain = await openChain("alpha");
    token = await chain.deploy("contracts/mocks/TestToken.sol/TestToken", ["Dollar", "USD", 6]);
    for (const [index, holder] of holders.entries()) {
      const args = [holder, index === 1 ? 1n : 10n ** BigInt(10 * index)] as const;
      await chain.send(0, { to: token, data: encodeFunctionData({ abi: testTokenAbi, functionName: "mint", args }) });
    }
    for (const index of neighbours) await chain.cheat.setStorageAt({ address: token, index, value: word(7n) });
    await chain.cheat.mine({ blocks: 1 });
    block = await headerAt(chain, await chain.reader.getBlockNumber());
  });
  after(() => chain?.close());

  const ask = (address: Hex, slots: Hex[] = []) => proofAt(chain, block.number, address, slots);
  const refused = (question: { address: Hex; slots: Hex[] }, answer: unknown, at = block) =>
    assert.throws(
      () => verifyState(at, question, answer),
      (error) => isLockstepError(error, "chain-answer-invalid"),
    );

  it("gives an account and its slots with the block they are of", async () => {
    const slots = [balanceSlot(holders[1]), balanceSlot(holders[5]), supplySlot, ...neighbours];
    const state = verifyState(block, { address: token, slots }, await ask(token, slots));
    const code = await chain.reader.getCode({ address: token });
    assert.deepEqual(state.block, { number: block.number, hash: block.hash });
    assert.equal(state.account?.codeHash, keccak256(code!));
    assert.deepEqual(
      state.storage.map(({ slot }) => slot),
      slots,
    );
    const supply = 1n + [0n, 2n, 3n, 4n, 5n].reduce((sum, index) => sum + 10n ** (10n * index), 0n);
    assert.deepEqual(
      state.storage.map(({ value }) => BigInt(value)),
      [1n, 10n ** 50n, supply, 7n, 7n],
    );
  });

  it("gives the balance and the nonce of an account without code", async () => {
    const { account } = verifyState(block, { address: holders[0], slots: [] }, await ask(holders[0]));
    assert.equal(account?.balance, await chain.reader.getBalance({ address: holders[0], blockNumber: block.number }));
    assert.equal(account?.nonce, BigInt(1 + holders.length));
    assert.deepEqual([account?.codeHash, account?.storageRoot], [keccak256("0x"), emptyTrieRoot]);
  });

  it("shows that a slot holds nothing, where others do and where none does", async () => {
    const empty = [balanceSlot(nobody), word(99n)];
    for (const address of [token, holders[0], nobody]) {
      const { storage } = verifyState(block, { address, slots: empty }, await ask(address, empty));
      assert.deepEqual(
        storage.map(({ value }) => value),
        [word(0n), word(0n)],
      );
    }
  });

  it("shows that there is no account, however the node spells nothing", async () => {
    const answer = await ask(nobody);
    const zeros = { codeHash: word(0n), storageHash: word(0n) };
    const empties = { codeHash: keccak256("0x"), storageHash: emptyTrieRoot };
    for (const hashes of [zeros, empties]) {
      const state = verifyState(block, { address: nobody, slots: [] }, { ...answer, ...hashes });
      assert.equal(state.account, undefined);
    }
    for (const lie of [{ balance: "0x1" }, { nonce: "0x1" }, { codeHash: word(1n) }, { storageHash: word(1n) }]) {
      refused({ address: nobody, slots: [] }, { ...answer, ...lie });
    }
  });

  it("is refused when it claims anything else than its proof shows", async () => {
    const slots = [supplySlot, balanceSlot(nobody)];
    const question = { address: token, slots };
    const honest = await ask(token, slots);
    const lies: ((answer: NodeProof) => unknown)[] = [
      (answer) => (answer.nonce = numberToHex(BigInt(answer.nonce) + 1n)),
      (answer) => (answer.balance = "0x1"),
      (answer) => (answer.codeHash = word(1n)),
      (answer) => (answer.storageHash = word(1n)),
      (answer) => (answer.address = nobody),
      (answer) => (answer.storageProof[0]!.value = "0x0"),
      (answer) => (answer.storageProof[0]!.key = "0x3"),
      (answer) => (answer.storageProof[1]!.value = "0x1"),
      (answer) => answer.storageProof.pop(),
      (answer) => answer.storageProof.push(answer.storageProof[0]!),
      (answer) => answer.storageProof.reverse(),
    ];
    verifyState(block, question, honest);
    for (const lie of lies) {
      const answer = structuredClone(honest);
      lie(answer);
      refused(question, answer);
    }
    refused(question, null);
    refused({ ...question, slots: [] }, honest);
  });

  it("is refused with the proof of another account, slot or block", async () => {
    const slots = [supplySlot];
    const question = { address: token, slots };
    const honest = await ask(token, slots);
    const other = await ask(holders[0]);
    refused(question, { ...honest, accountProof: other.accountProof });
    refused(question, { ...other, address: token });
    const [elsewhere] = (await ask(token, [balanceSlot(holders[2])])).storageProof;
    refused(question, { ...honest, storageProof: [{ ...honest.storageProof[0], proof: elsewhere!.proof }] });
    // Its value says nothing about the slot that was asked for, so it cannot pass for the proof that it is empty.
    const hidden = { key: supplySlot, value: "0x0", proof: elsewhere!.proof };
    refused(question, { ...honest, storageProof: [hidden] });
    refused(question, honest, await headerAt(chain, block.number - 2n));
  });

  it("is refused with nodes too few or too many", async () => {
    for (const slots of [[supplySlot], [balanceSlot(nobody)]]) {
      const question = { address: token, slots };
      const honest = await ask(token, slots);
      const [slot] = honest.storageProof;
      const wrong = (proof: Hex[]) => [
        [],
        proof.slice(0, -1),
        proof.slice(1),
        [...proof, proof.at(-1)!],
        [...proof, "0x80"],
        proof.toReversed(),
      ];
      for (const accountProof of wrong(honest.accountProof)) refused(question, { ...honest, accountProof });
      for (const proof of wrong(slot!.proof)) refused(question, { ...honest, storageProof: [{ ...slot, proof }] });
    }
  });

  it("may list a leaf that stands in the branch above it, or not", async () => {
    const question = { address: token, slots: [neighbours[0]] };
    const listed = await ask(token, [neighbours[0]]);
    const [slot] = listed.storageProof;
    const [branch, leaf] = slot!.proof.slice(-2) as [Hex, Hex];
    assert.ok(leaf.length < 66 && branch.includes(leaf.slice(2)), "the leaf stands in the branch");
    const unlisted = { ...listed, storageProof: [{ ...slot, proof: slot!.proof.slice(0, -1) }] };
    const [listing, without] = [listed, unlisted].map((answer) => verifyState(block, question, answer));
    assert.deepEqual(without?.account, listing?.account);
    assert.deepEqual([without?.storage[0]?.value, listing?.storage[0]?.value], [word(7n), word(7n)]);
    const tooFew = { ...listed, storageProof: [{ ...slot, proof: slot!.proof.slice(0, -2) }] };
    refused(question, tooFew);
  });

  it("is refused with any bit of any node turned over", async () => {
    const slots = [supplySlot, balanceSlot(nobody), neighbours[1]];
    const honest = await ask(token, slots);
    const lists = (answer: NodeProof) => [answer.accountProof, ...answer.storageProof.map(({ proof }) => proof)];
    fc.assert(
      fc.property(fc.nat(3), fc.nat(99), fc.nat(10_000), fc.nat(7), (list, node, byte, bit) => {
        const answer = structuredClone(honest);
        const nodes = lists(answer)[list]!;
        nodes[node % nodes.length] = flipped(nodes[node % nodes.length]!, byte, bit);
        refused({ address: token, slots }, answer);
      }),
      { numRuns: 200 },
    );
  });

  it("about a block counts only when its fields make its hash", async () => {
    const raw = await rawBlock(chain, block.number);
    assert.deepEqual(readBlockHeader(raw), block);
    const lies = {
      stateRoot: word(1n),
      number: "0x1",
      timestamp: "0x1",
      extraData: "0x01",
      requestsHash: undefined,
      hash: word(1n),
    };
    for (const [name, value] of Object.entries(lies)) {
      assert.throws(
        () => readBlockHeader({ ...raw, [name]: value }),
        (error) => isLockstepError(error, "chain-answer-invalid"),
        name,
      );
    }
  });
});
