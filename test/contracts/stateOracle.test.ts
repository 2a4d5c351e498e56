import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import {
  BaseError,
  ContractFunctionRevertedError,
  decodeErrorResult,
  encodeFunctionData,
  type Hex,
  keccak256,
  numberToHex,
  parseSignature,
  signatureToCompactSignature,
} from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { stateOracleAbi } from "#core/abi/stateOracle.ts";
import { testTokenAbi } from "#core/abi/testToken.ts";
import type { BlockHeader } from "#core/chain/blockHeader.ts";
import { encodeSendMessage } from "#relay/protocol/calls.ts";
import { type Header, headerDigest, headerTypedData } from "#relay/protocol/header.ts";
import { toContractSet } from "#relay/protocol/quorum.ts";
import { flipped, headerAt, mappingSlot, neighbours, proofAt } from "#test/support/state.ts";
import * as byEthers from "#test/vectors/ethersHeaders.ts";
import vectors from "#test/vectors/headers.json" with { type: "json" };
import { accounts, openChain, type TestChain } from "./chains.ts";
import { connectGateway, deployGateway, validatorSet, validators } from "./lane.ts";
import { revertData } from "./reverts.ts";

const [admin, sender, holder] = accounts.map(({ address }) => address) as [Hex, Hex, Hex];
const nobody: Hex = "0x00000000000000000000000000000000000aBCdE";
const gatewayBase = 0x996d8636f86ce8c65931c72168b7f56f0b6190df19af5cb070bc228a51ce2900n;
const abi = [...stateOracleAbi, ...gatewayAbi.filter(({ type }) => type === "error")] as const;
const hex = (text: string): Hex => `0x${text.slice(2)}`;
const word = (value: bigint): Hex => numberToHex(value, { size: 32 });
const balanceSlot = (account: Hex) => mappingSlot("address", account, 0n);

type Read = { account: Hex; slot: Hex; accountProof: Hex[]; storageProof: Hex[] };

describe("the state of one chain, proven on another", () => {
  let alpha: TestChain;
  let beta: TestChain;
  let origin: { chainId: number; gateway: Hex };
  let oracle: Hex;
  let token: Hex;
  let block: BlockHeader;
  let fork: BlockHeader;
  let attestGas: bigint;

  before(async () => {
    [alpha, beta] = await Promise.all([openChain("alpha"), openChain("beta")]);
    origin = { chainId: alpha.chainId, gateway: await deployGateway(alpha, admin) };
    await beta.deploy("contracts/mocks/MessageCounter.sol/MessageCounter");
    const destination = { chainId: beta.chainId, gateway: await deployGateway(beta, admin) };
    await connectGateway(alpha, origin.gateway, destination);
    await connectGateway(beta, destination.gateway, origin);
    oracle = await deployOracle(destination.gateway);
    token = await alpha.deploy("contracts/mocks/TestToken.sol/TestToken", ["Dollar", "USD", 6]);
    for (const { address } of accounts) {
      const args = [address, address === holder ? 5n : 10n ** 30n] as const;
      await alpha.send(0, { to: token, data: encodeFunctionData({ abi: testTokenAbi, functionName: "mint", args }) });
    }
    for (const index of neighbours) await alpha.cheat.setStorageAt({ address: token, index, value: word(9n) });
    const data = encodeSendMessage({ chainId: beta.chainId, address: nobody }, "0x6869");
    await alpha.send(1, { to: origin.gateway, data });
    const snapshot = await alpha.cheat.snapshot();
    await alpha.send(2, { to: origin.gateway, data });
    fork = await headerAt(alpha, await alpha.reader.getBlockNumber());
    await alpha.cheat.revert({ id: snapshot });
    await alpha.send(1, { to: origin.gateway, data });
    block = await headerAt(alpha, await alpha.reader.getBlockNumber());
    attestGas = (await attest(headerOf(block), block.rlp)).gasUsed;
  });
  after(() => Promise.all([alpha?.close(), beta?.close()]));

  async function deployOracle(gateway: Hex): Promise<Hex> {
    const manager = await beta.deploy("@openzeppelin/contracts/access/manager/AccessManager.sol/AccessManager", [
      admin,
    ]);
    const implementation = await beta.deploy("contracts/StateOracle.sol/StateOracle");
    const data = encodeFunctionData({ abi, functionName: "initialize", args: [manager, gateway] });
    return beta.deploy("@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol/ERC1967Proxy", [implementation, data]);
  }

  const headerOf = ({ number, hash }: BlockHeader, generation = 0): Header => ({
    originChainId: origin.chainId,
    generation,
    number,
    blockHash: hash,
    epoch: 1n,
  });

  /** Two validators sign, anyone submits. */
  async function attestCall(header: Header, rlp: Hex): Promise<{ to: Hex; data: Hex }> {
    const signers = validators.slice(1).toSorted((a, b) => (BigInt(a.address) < BigInt(b.address) ? -1 : 1));
    const signatures = await Promise.all(
      signers.map(async (signer) => {
        const signature = await signer.signTypedData(
          headerTypedData({ chainId: beta.chainId, address: oracle }, header),
        );
        const { r, yParityAndS } = signatureToCompactSignature(parseSignature(signature));
        return { r, vs: yParityAndS };
      }),
    );
    const message = { ...header, originChainId: BigInt(header.originChainId) };
    const args = [message, rlp, toContractSet(validatorSet), signatures] as const;
    return { to: oracle, data: encodeFunctionData({ abi, functionName: "attestHeader", args }) };
  }
  const attest = async (header: Header, rlp: Hex) => beta.send(3, await attestCall(header, rlp));

  async function proofOf(account: Hex, slot: Hex, at = block): Promise<Read> {
    const { accountProof, storageProof } = await proofAt(alpha, at.number, account, [slot]);
    return { account, slot, accountProof, storageProof: storageProof[0]!.proof };
  }
  const storageAt = ({ account, slot, accountProof, storageProof }: Read, number = block.number) =>
    beta.reader.readContract({
      address: oracle,
      abi,
      functionName: "storageAt",
      args: [BigInt(origin.chainId), number, account, slot, accountProof, storageProof],
    });
  const accountAt = (account: Hex, accountProof: Hex[]) =>
    beta.reader.readContract({
      address: oracle,
      abi,
      functionName: "accountAt",
      args: [BigInt(origin.chainId), block.number, account, accountProof],
    });
  /** The error's name, or undefined for an answer; only errors of the contract count as refusals. */
  async function refusal(answer: Promise<unknown>): Promise<string | undefined> {
    try {
      await answer;
      return undefined;
    } catch (error) {
      const reverted = error instanceof BaseError && error.walk((one) => one instanceof ContractFunctionRevertedError);
      if (!(reverted instanceof ContractFunctionRevertedError)) throw error;
      return reverted.data?.errorName ?? decodeErrorResult({ abi, data: reverted.raw ?? "0x" }).errorName;
    }
  }

  it("gives the accumulator and the nonce of a lane", async () => {
    const head = await alpha.reader.readContract({
      address: origin.gateway,
      abi: gatewayAbi,
      functionName: "outboundHead",
      args: [BigInt(beta.chainId)],
      blockNumber: block.number,
    });
    const slot = mappingSlot("uint256", BigInt(beta.chainId), gatewayBase);
    assert.equal(head.nonce, 2n);
    assert.equal(await storageAt(await proofOf(origin.gateway, slot)), head.accumulator);
    const second = await storageAt(await proofOf(origin.gateway, word(BigInt(slot) + 1n)));
    assert.equal(BigInt(second) & 0xffffffffffffffffn, head.nonce);
  });

  it("gives balance, nonce, storage root and code hash of an account", async () => {
    const at = { blockNumber: block.number };
    for (const address of [sender, token, origin.gateway]) {
      const node = await proofAt(alpha, block.number, address);
      const code = await alpha.reader.getCode({ address, ...at });
      assert.deepEqual(await accountAt(address, node.accountProof), {
        nonce: BigInt(await alpha.reader.getTransactionCount({ address, ...at })),
        balance: await alpha.reader.getBalance({ address, ...at }),
        storageRoot: node.storageHash,
        codeHash: keccak256(code ?? "0x"),
      });
    }
  });

  it("gives long and short values of a mapping, and leaves that stand in their branch", async () => {
    assert.equal(BigInt(await storageAt(await proofOf(token, balanceSlot(sender)))), 10n ** 30n);
    assert.equal(BigInt(await storageAt(await proofOf(token, balanceSlot(holder)))), 5n);
    for (const slot of neighbours) {
      const listed = await proofOf(token, slot);
      assert.ok(listed.storageProof.at(-1)!.length < 66, "the last node is a short one");
      assert.equal(BigInt(await storageAt(listed)), 9n);
      const unlisted = { ...listed, storageProof: listed.storageProof.slice(0, -1) };
      assert.equal(BigInt(await storageAt(unlisted)), 9n);
    }
  });

  it("is refused for what does not exist: such proofs show nothing", async () => {
    for (const slot of [balanceSlot(nobody), word(99n), word(3_000n)]) {
      assert.match((await refusal(storageAt(await proofOf(token, slot)))) ?? "", /^(RLPInvalidEncoding|TrieProof)/);
    }
    assert.match((await refusal(storageAt(await proofOf(sender, word(1n))))) ?? "", /^(RLPInvalidEncoding|TrieProof)/);
    const { accountProof } = await proofAt(alpha, block.number, nobody);
    assert.match((await refusal(accountAt(nobody, accountProof))) ?? "", /^(RLPInvalidEncoding|TrieProof)/);
  });

  it("is refused with proofs of something else, too short or too long", async () => {
    const honest = await proofOf(token, balanceSlot(sender));
    const other = await proofOf(origin.gateway, mappingSlot("uint256", BigInt(beta.chainId), gatewayBase));
    const { accountProof, storageProof } = honest;
    const wrong: [string, Partial<Read>][] = [
      ["TrieProofTraversalError", { account: origin.gateway }],
      ["TrieProofTraversalError", { accountProof: other.accountProof }],
      ["TrieProofTraversalError", { storageProof: other.storageProof }],
      ["TrieProofTraversalError", { accountProof: storageProof }],
      ["TrieProofTraversalError", { accountProof: [] }],
      ["TrieProofTraversalError", { storageProof: [] }],
      ["TrieProofTraversalError", { accountProof: accountProof.slice(0, -1) }],
      ["TrieProofTraversalError", { storageProof: storageProof.slice(0, -1) }],
      ["TrieProofTraversalError", { storageProof: storageProof.slice(1) }],
      ["TrieProofTraversalError", { accountProof: [...accountProof, accountProof.at(-1)!] }],
      ["TrieProofTraversalError", { storageProof: [...storageProof, "0x80"] }],
      ["TrieProofTraversalError", { storageProof: [...accountProof, ...storageProof] }],
    ];
    assert.equal(await refusal(storageAt(honest)), undefined);
    for (const [name, change] of wrong) assert.equal(await refusal(storageAt({ ...honest, ...change })), name);
    // Along the path of another slot the proof's nodes do not follow, wherever the paths part.
    for (const slot of [balanceSlot(holder), word(2n), balanceSlot(nobody)]) {
      assert.notEqual(await refusal(storageAt({ ...honest, slot })), undefined);
    }
    const earlier = await headerAt(alpha, block.number - 1n);
    assert.equal(
      await refusal(storageAt(await proofOf(token, balanceSlot(sender), earlier), earlier.number)),
      "UnknownHeader",
    );
    assert.equal(
      await refusal(storageAt(await proofOf(origin.gateway, other.slot, earlier))),
      "TrieProofTraversalError",
    );
  });

  it("is refused with any bit of any node turned over", async () => {
    const honest = await proofOf(token, neighbours[0]);
    const tampered = fc.tuple(fc.boolean(), fc.nat(99), fc.nat(10_000), fc.nat(7));
    await fc.assert(
      fc.asyncProperty(tampered, async ([ofAccount, node, byte, bit]) => {
        const read = structuredClone(honest);
        const nodes = ofAccount ? read.accountProof : read.storageProof;
        nodes[node % nodes.length] = flipped(nodes[node % nodes.length]!, byte, bit);
        assert.notEqual(await refusal(storageAt(read)), undefined);
      }),
      { numRuns: 40 },
    );
  });

  it("is that of the branch attested first, in the lane's generation", async () => {
    assert.equal(fork.number, block.number);
    assert.notEqual(fork.hash, block.hash);
    const simulate = async (header: Header, rlp: Hex) => beta.reader.call(await attestCall(header, rlp));
    const refusedWith = async (header: Header, rlp: Hex) => {
      const error = await simulate(header, rlp).catch((caught: unknown) => caught);
      return decodeErrorResult({ abi, data: revertData(error) ?? "0x" }).errorName;
    };
    assert.equal(await refusedWith(headerOf(fork), fork.rlp), "HeaderConflict");
    assert.equal(await refusedWith(headerOf(block, 1), block.rlp), "WrongGeneration");
    const earlier = await headerAt(alpha, block.number - 1n);
    assert.equal(await refusedWith(headerOf(earlier), block.rlp), "WrongBlockHash");
    assert.equal(await refusedWith({ ...headerOf(block), number: block.number + 1n }, block.rlp), "WrongBlockNumber");
    await simulate(headerOf(block), "0x");
    await simulate(headerOf(earlier), earlier.rlp);
  });

  it("costs no more gas than it did", async () => {
    const again = await attest(headerOf(block), block.rlp);
    const slot = mappingSlot("uint256", BigInt(beta.chainId), gatewayBase);
    const { account, accountProof, storageProof } = await proofOf(origin.gateway, slot);
    const args = [BigInt(origin.chainId), block.number, account, slot, accountProof, storageProof] as const;
    const data = encodeFunctionData({ abi: stateOracleAbi, functionName: "storageAt", args });
    const reading = await beta.reader.estimateGas({ to: oracle, data });
    assert.deepEqual([accountProof.length, storageProof.length], [3, 3]);
    assert.ok(attestGas <= 194_600n, `attest: ${attestGas}`);
    assert.ok(again.gasUsed <= 70_800n, `attest what is known: ${again.gasUsed}`);
    assert.ok(reading <= 283_500n, `prove a slot in a transaction of its own: ${reading}`);
  });

  for (const { name, expected, ...vector } of vectors.headers) {
    it(`digest that contract, viem and ethers agree on: ${name}`, async () => {
      const { originChainId, generation } = vector;
      const [number, epoch, blockHash] = [BigInt(vector.number), BigInt(vector.epoch), hex(vector.blockHash)];
      const header = { originChainId, generation, number, blockHash, epoch };
      const address = hex(vector.oracle.address);
      const chain = vector.oracle.chainId === alpha.chainId ? alpha : beta;
      await chain.place("contracts/StateOracle.sol/StateOracle", address);
      const digest = await chain.reader.readContract({
        address,
        abi,
        functionName: "headerDigest",
        args: [{ ...header, originChainId: BigInt(originChainId) }],
      });
      assert.equal(digest, expected.digest);
      assert.equal(headerDigest({ chainId: chain.chainId, address }, header), expected.digest);
      assert.equal(byEthers.headerDigest(vector), expected.digest);
    });
  }
});
