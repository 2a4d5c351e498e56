import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  type ContractFunctionArgs,
  concat,
  encodeFunctionData,
  getContractAddress,
  type Hex,
  hashTypedData,
} from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import { testTokenAbi } from "#core/abi/testToken.ts";
import { hashlockOf } from "#swap/protocol/hashlock.ts";
import { batchId, itemLockId, type LockTerms, leafId, lockId } from "#swap/protocol/lockId.ts";
import { merkleProof, merkleRoot } from "#swap/protocol/merkle.ts";
import {
  earlyRefundTypedData,
  permit2Address,
  permit2LockTypedData,
  signedItemLockTypedData,
  signedLockTypedData,
} from "#swap/protocol/typedData.ts";
import { accounts, openChain, type TestChain } from "#test/contracts/chains.ts";
import * as byEthers from "#test/vectors/ethersLocks.ts";
import vectors from "#test/vectors/locks.json" with { type: "json" };
import permit2 from "#test/vectors/permit2.json" with { type: "json" };

type ViewName = "lockId" | "lockDigest" | "itemLockId" | "itemLockDigest" | "earlyRefundDigest" | "leafId" | "batchId";
type TermsVector = Omit<byEthers.LockVector, "chainId" | "contract">;

const hex = (text: string): Hex => `0x${text.slice(2)}`;
const termsOf = (vector: TermsVector): LockTerms => ({
  sender: hex(vector.sender),
  recipient: hex(vector.recipient),
  token: hex(vector.token),
  amount: BigInt(vector.amount),
  hashlock: hex(vector.hashlock),
  timelock: BigInt(vector.timelock),
  tip: BigInt(vector.tip),
});
const onceOf = (vector: { nonce: string; deadline: string }) => ({
  nonce: BigInt(vector.nonce),
  deadline: BigInt(vector.deadline),
});

describe("lock vectors: contract, viem and ethers agree", () => {
  let chains: TestChain[] = [];
  before(async () => {
    chains = await Promise.all([openChain("alpha"), openChain("beta")]);
  });
  after(() => Promise.all(chains.map((chain) => chain.close())));

  /** The chain of a vector, with the timelock at the vector's address. */
  const place = async (vector: { chainId: number; contract: string }) => {
    const chain = chains.find(({ chainId }) => chainId === vector.chainId);
    assert.ok(chain);
    const address = hex(vector.contract);
    await chain.place("contracts/HashedTimelock.sol/HashedTimelock", address);
    const read = <N extends ViewName>(
      functionName: N,
      args: ContractFunctionArgs<typeof hashedTimelockAbi, "view", N>,
    ): Promise<unknown> => chain.reader.readContract({ address, abi: hashedTimelockAbi, functionName, args } as never);
    return { chain, address, read, domain: { chainId: vector.chainId, contract: address } };
  };

  for (const { name, expected, ...vector } of vectors.locks) {
    it(`a lock and what is signed for it: ${name}`, async () => {
      const { address, read, domain } = await place(vector);
      const [terms, once, lockedAt] = [termsOf(vector), onceOf(vector), BigInt(vector.lockedAt)];
      const id = hex(expected.id);
      assert.equal(lockId(vector.chainId, address, terms), id);
      assert.equal(byEthers.lockId(vector), id);
      assert.equal(await read("lockId", [terms]), id);

      assert.equal(hashTypedData(signedLockTypedData(domain, terms, once)), expected.signedLock);
      assert.equal(byEthers.lockDigest(vector, vector), expected.signedLock);
      assert.equal(await read("lockDigest", [terms, once.nonce, once.deadline]), expected.signedLock);

      assert.equal(hashTypedData(earlyRefundTypedData(domain, id, lockedAt, once)), expected.earlyRefund);
      const { nonce, deadline } = vector;
      const message = { id, lockedAt: vector.lockedAt, nonce, deadline };
      assert.equal(byEthers.earlyRefundDigest(vector, message), expected.earlyRefund);
      const args = [id, lockedAt, once.nonce, once.deadline] as const;
      assert.equal(await read("earlyRefundDigest", args), expected.earlyRefund);
    });
  }

  for (const { name, expected, ...vector } of vectors.items) {
    it(`a lock of an item and what is signed for it: ${name}`, async () => {
      const { address, read, domain } = await place(vector);
      const [terms, once] = [{ ...termsOf(vector), tokenId: BigInt(vector.tokenId) }, onceOf(vector)];
      assert.equal(itemLockId(vector.chainId, address, terms), expected.id);
      assert.equal(byEthers.itemLockId(vector), expected.id);
      assert.equal(await read("itemLockId", [terms]), expected.id);

      assert.equal(hashTypedData(signedItemLockTypedData(domain, terms, once)), expected.signedLock);
      assert.equal(byEthers.itemLockDigest(vector, vector), expected.signedLock);
      assert.equal(await read("itemLockDigest", [terms, once.nonce, once.deadline]), expected.signedLock);
    });
  }

  for (const { name, expected, ...vector } of vectors.batches) {
    it(`a batch: ${name}`, async () => {
      const { chain, address, read } = await place(vector);
      const { sender, token, tip, entries } = vector;
      const list = entries.map((entry) => termsOf({ sender, token, tip, ...entry }));
      const leaves = list.map((terms, index) => leafId(vector.chainId, address, terms, index));
      assert.deepEqual(leaves, expected.leaves);
      assert.deepEqual(byEthers.leafIds(vector), expected.leaves);
      for (const [index, terms] of list.entries()) {
        assert.equal(await read("leafId", [terms, BigInt(index)]), expected.leaves[index]);
      }
      assert.equal(merkleRoot(leaves), expected.root);
      assert.equal(byEthers.merkleRoot(expected.leaves), expected.root);
      assert.equal(batchId(vector.chainId, address, merkleRoot(leaves)), expected.id);
      assert.equal(byEthers.batchId(vector, expected.root), expected.id);
      assert.equal(await read("batchId", [hex(expected.root)]), expected.id);

      // The contract makes the root itself when it locks, and takes the proofs that are made here.
      const value = list.reduce((sum, { amount, tip: each }) => sum + amount + each, 0n);
      const lock = { abi: hashedTimelockAbi, functionName: "lockBatch" as const };
      const args = [hex(token), BigInt(tip), list] as const;
      await chain.send(1, { to: address, data: encodeFunctionData({ ...lock, args }), value });
      const openLeaves = { address, abi: hashedTimelockAbi, functionName: "openLeaves" as const };
      const readOpen = () => chain.reader.readContract({ ...openLeaves, args: [hex(expected.id)] });
      assert.equal(await readOpen(), (1n << BigInt(list.length)) - 1n);
      for (const [index, terms] of list.entries()) {
        const secret = vectors.secrets.find(({ hashlock }) => hashlock === terms.hashlock)?.secret;
        assert.ok(secret);
        const proof = merkleProof(leaves, index);
        const claim = { abi: hashedTimelockAbi, functionName: "claimLeaf" as const };
        const data = encodeFunctionData({ ...claim, args: [terms, BigInt(index), proof, hex(secret)] });
        await chain.send(2, { to: address, data });
      }
      assert.equal(await readOpen(), 0n);
    });
  }

  for (const { name, expected, ...vector } of vectors.permit2) {
    it(`what is signed for Permit2, which takes it: ${name}`, async () => {
      const { chain, address, domain } = await place(vector);
      const [terms, once] = [termsOf(vector), onceOf(vector)];
      assert.equal(hashTypedData(permit2LockTypedData(domain, terms, once)), expected.digest);
      assert.equal(byEthers.permit2Digest(vector, vector), expected.digest);

      await chain.cheat.setCode({ address: permit2Address, bytecode: hex(permit2.code) });
      await chain.place("contracts/mocks/HostileTokens.sol/PlainToken", terms.token);
      const mint = { abi: testTokenAbi, functionName: "mint" as const, args: [terms.sender, terms.amount] as const };
      await chain.send(1, { to: terms.token, data: encodeFunctionData(mint) });
      const approve = { ...mint, functionName: "approve" as const, args: [permit2Address, terms.amount] as const };
      await chain.send(1, { to: terms.token, data: encodeFunctionData(approve) });
      const signature = await accounts[1]!.sign({ hash: hex(expected.digest) });
      const lock = { abi: hashedTimelockAbi, functionName: "lockWithPermit2" as const };
      const data = encodeFunctionData({ ...lock, args: [terms, { ...once, signature }] });
      await chain.send(3, { to: address, data, value: terms.tip });
      const isOpen = { address, abi: hashedTimelockAbi, functionName: "isOpen" as const };
      assert.ok(await chain.reader.readContract({ ...isOpen, args: [lockId(vector.chainId, address, terms)] }));
    });
  }

  it("the code that stands in for Permit2 is the one that its address commits to", () => {
    const bytecode = concat([hex(permit2.constructor), hex(permit2.code)]);
    const made = { opcode: "CREATE2", from: hex(permit2.deployer), salt: hex(permit2.salt), bytecode } as const;
    assert.equal(getContractAddress(made), permit2Address);
  });

  it("a tree needs a leaf, and a proof one that is there", () => {
    assert.throws(() => merkleRoot([]), /at least one leaf/);
    assert.throws(() => merkleProof([hex(vectors.locks[0]!.expected.id)], 1), /no leaf 1/);
  });

  for (const { secret, hashlock } of vectors.secrets) {
    it(`hashlock of ${secret.slice(0, 10)}…`, () => {
      assert.equal(hashlockOf(hex(secret)), hashlock);
      assert.equal(byEthers.hashlockOf(secret), hashlock);
    });
  }

  it("a secret of another length has no hashlock", () => {
    for (const secret of [`0x${"11".repeat(31)}`, `0x${"11".repeat(33)}`, "0x"] as const) {
      assert.throws(() => hashlockOf(secret), /32 bytes/);
    }
  });
});
