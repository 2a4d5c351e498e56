import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { encodeFunctionData, type Hex, parseAbi } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import { testTokenAbi } from "#core/abi/testToken.ts";
import { hashlockOf } from "#swap/protocol/hashlock.ts";
import { type LockTerms, lockId } from "#swap/protocol/lockId.ts";
import { permit2Address, permit2LockTypedData } from "#swap/protocol/typedData.ts";
import permit2 from "#test/vectors/permit2.json" with { type: "json" };
import { accounts, openChain, type TestChain } from "./chains.ts";

const [, alice, bob, stranger] = accounts.map(({ address }) => address) as [Hex, Hex, Hex, Hex];
const permit2Errors = parseAbi([
  "error InvalidSigner()",
  "error InvalidNonce()",
  "error SignatureExpired(uint256 signatureDeadline)",
  "error ERC20InsufficientBalance(address,uint256,uint256)",
]);

/** A lock whose sender signed nothing but a Permit2 transfer with the terms as its witness; a stranger submits it. */
describe("a lock by Permit2", () => {
  let chain: TestChain;
  let timelock: Hex;
  let token: Hex;
  let now: bigint;
  before(async () => {
    chain = await openChain("alpha");
    timelock = await chain.deploy("contracts/HashedTimelock.sol/HashedTimelock");
    await chain.cheat.setCode({ address: permit2Address, bytecode: permit2.code as Hex });
    token = await fundedToken("contracts/mocks/HostileTokens.sol/PlainToken", ["Plain", "PLAIN"]);
    now = (await chain.reader.getBlock()).timestamp;
  });
  after(() => chain?.close());

  async function fundedToken(artifact: string, args: readonly unknown[]): Promise<Hex> {
    const to = await chain.deploy(artifact, args);
    const mint = { abi: testTokenAbi, functionName: "mint" as const, args: [alice, 10_000n] as const };
    await chain.send(1, { to, data: encodeFunctionData(mint) });
    const approve = { ...mint, functionName: "approve" as const, args: [permit2Address, 10_000n] as const };
    await chain.send(1, { to, data: encodeFunctionData(approve) });
    return to;
  }

  const secret: Hex = `0x${"5e".repeat(32)}`;
  const termsOf = (over: Partial<LockTerms> = {}): LockTerms => ({
    ...{ sender: alice, recipient: bob, token, amount: 1_000n, tip: 5n },
    ...{ hashlock: hashlockOf(secret), timelock: now + 10_000n },
    ...over,
  });
  const sign = async (terms: LockTerms, nonce: bigint, deadline = now + 5_000n, contract = timelock) => {
    const data = permit2LockTypedData({ chainId: chain.chainId, contract }, terms, { nonce, deadline });
    return { nonce, deadline, signature: await accounts[1]!.signTypedData(data) };
  };
  const submit = async (terms: LockTerms, signed: Awaited<ReturnType<typeof sign>>) => {
    const { request } = await chain.reader.simulateContract({
      abi: [...hashedTimelockAbi, ...permit2Errors],
      ...{ address: timelock, functionName: "lockWithPermit2", args: [terms, signed] },
      ...{ account: stranger, value: terms.tip },
    });
    const data = encodeFunctionData({ abi: hashedTimelockAbi, functionName: "lockWithPermit2", args: request.args });
    return chain.send(3, { to: timelock, data, value: terms.tip });
  };

  it("is opened by anyone, once", async () => {
    const terms = termsOf();
    const signed = await sign(terms, 1n);
    await submit(terms, signed);
    const id = lockId(chain.chainId, timelock, terms);
    const isOpen = { address: timelock, abi: hashedTimelockAbi, functionName: "isOpen" as const, args: [id] as const };
    assert.ok(await chain.reader.readContract(isOpen));
    const claim = { abi: hashedTimelockAbi, functionName: "claim" as const, args: [terms, secret] as const };
    await chain.send(2, { to: timelock, data: encodeFunctionData(claim) });
    await assert.rejects(submit(terms, signed), /InvalidNonce/);
  });

  it("is for exactly the terms that were signed", async () => {
    const terms = termsOf();
    const signed = await sign(terms, 2n);
    const changes: Partial<LockTerms>[] = [
      { recipient: stranger },
      { hashlock: hashlockOf(`0x${"00".repeat(32)}`) },
      { timelock: terms.timelock + 1n },
      { tip: 6n },
      { amount: 1_001n },
      { sender: bob },
    ];
    for (const change of changes) await assert.rejects(submit(termsOf(change), signed), /InvalidSigner/);
    await assert.rejects(submit(terms, { ...signed, deadline: signed.deadline + 1n }), /InvalidSigner/);
    await assert.rejects(submit(terms, await sign(terms, 2n, now + 5_000n, stranger)), /InvalidSigner/);
    await submit(terms, signed);
  });

  it("has a deadline, and the funds must be there", async () => {
    const late = termsOf({ timelock: now + 20_000n });
    await assert.rejects(submit(late, await sign(late, 3n, now - 1n)), /SignatureExpired/);
    const large = termsOf({ amount: 100_000n });
    await assert.rejects(submit(large, await sign(large, 3n)), /TRANSFER_FROM_FAILED|ERC20Insufficient/);
  });

  it("is refused when the token delivers something else", async () => {
    const terms = termsOf({ token: await fundedToken("contracts/mocks/HostileTokens.sol/FeeToken", []) });
    await assert.rejects(submit(terms, await sign(terms, 4n)), /WrongReceipt/);
  });

  it("cannot be nested by its token, which could have one receipt count twice", async () => {
    const hook = await fundedToken("contracts/mocks/HostileTokens.sol/HookToken", []);
    const inner = await chain.deploy("contracts/mocks/HostileRecipients.sol/CoinRejecter");
    const abi = parseAbi(["function prepare(address,bytes)", "function execute(address,bytes,uint256)"]);
    const execute = (target: Hex, data: Hex) =>
      encodeFunctionData({ abi, functionName: "execute", args: [target, data, 0n] });
    const mint = { abi: testTokenAbi, functionName: "mint" as const, args: [inner, 1_000n] as const };
    await chain.send(1, { to: hook, data: encodeFunctionData(mint) });
    const approve = { ...mint, functionName: "approve" as const, args: [timelock, 1_000n] as const };
    await chain.send(1, { to: inner, data: execute(hook, encodeFunctionData(approve)) });
    const nested = termsOf({ sender: inner, token: hook, tip: 0n });
    const lock = { abi: hashedTimelockAbi, functionName: "createLock" as const, args: [nested] as const };
    const args = [inner, execute(timelock, encodeFunctionData(lock))] as const;
    await chain.send(1, { to: hook, data: encodeFunctionData({ abi, functionName: "prepare", args }) });
    const terms = termsOf({ token: hook });
    // Permit2 says only that its transfer failed; unguarded, the receipt would be the wrong one.
    await assert.rejects(submit(terms, await sign(terms, 6n)), /TRANSFER_FROM_FAILED/);
  });

  it("is checked as every lock is", async () => {
    const terms = termsOf({ timelock: now });
    await assert.rejects(submit(terms, await sign(terms, 5n)), /TimelockNotInFuture/);
    const missing = termsOf({ token: `0x${"de".repeat(20)}` });
    await assert.rejects(submit(missing, await sign(missing, 5n)), /TokenWithoutCode/);
  });
});
