import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  concatHex,
  encodeErrorResult,
  encodeFunctionData,
  encodePacked,
  getContractAddress,
  type Hex,
  parseAbi,
  zeroHash,
} from "viem";
import { messageRecorderAbi } from "#core/abi/messageRecorder.ts";
import { encodeSendMessage } from "#relay/protocol/calls.ts";
import { encodeInteroperable } from "#relay/protocol/interoperable.ts";
import type { Appended } from "#relay/protocol/logs.ts";
import { accounts } from "./chains.ts";
import { appendedBy, carry, carryAgain, creditOf, giveCredit, openPair, priceLane, type Side } from "./gatewayPair.ts";
import { revertData } from "./reverts.ts";

const [, alice, bob] = accounts.map(({ address }) => address) as [Hex, Hex, Hex];
const [ALICE, BOB] = [1, 2];

const fungible = parseAbi([
  "function mint(address to, uint256 amount)",
  "function approve(address spender, uint256 amount)",
  "function transfer(address to, uint256 amount)",
  "function setFrozen(address account, bool frozen)",
  "function crosschainTransfer(bytes to, uint256 amount)",
  "function balanceOf(address account) view returns (uint256)",
  "function totalSupply() view returns (uint256)",
]);
const unique = parseAbi([
  "function mint(address to, uint256 id)",
  "function approve(address spender, uint256 id)",
  "function crosschainTransferFrom(address from, bytes to, uint256 id)",
  "function balanceOf(address account) view returns (uint256)",
  "function ownerOf(uint256 id) view returns (address)",
]);
const multi = parseAbi([
  "function mint(address to, uint256 id, uint256 value)",
  "function setApprovalForAll(address operator, bool approved)",
  "function crosschainTransferFrom(address from, bytes to, uint256[] ids, uint256[] values)",
  "function balanceOf(address account, uint256 id) view returns (uint256)",
]);
const holder = parseAbi(["function setWilling(bool willing)", "error NotYet()"]);
const recipient = parseAbi([
  "function receiveMessage(bytes32 id, bytes sender, bytes payload) returns (bytes4)",
  "error ERC7786RecipientUnauthorizedGateway(address gateway, bytes sender)",
]);

const bridges = (name: string) => `contracts/mocks/Bridges.sol/${name}`;
const executorPath = "@openzeppelin/contracts/crosschain/CrosschainRemoteExecutor.sol/CrosschainRemoteExecutor";

const accountOn = ({ chainId }: Side, address: Hex): Hex =>
  encodeInteroperable({ chainId, address }).toLowerCase() as Hex;

/** The address of the contract that the deployer creates after `later` others: two bridges that name each other in their constructors need it. */
const upcoming = async ({ chain }: Side, later = 0): Promise<Hex> => {
  const from = accounts[0]!.address;
  const nonce = BigInt(await chain.reader.getTransactionCount({ address: from }));
  return getContractAddress({ from, nonce: nonce + BigInt(later) });
};

/** A bridge's link, by which it knows its counterpart. */
const linkTo = (here: Side, there: Side, counterpart: Hex) => [
  { gateway: here.gateway, counterpart: accountOn(there, counterpart) },
];

/** Deploys a bridge on each side, linked to each other; `home` is the side where tokens are locked. */
async function deployBridges(
  [home, homeBridge, homeToken]: readonly [Side, string, Hex],
  [away, awayBridge, awayToken]: readonly [Side, string, Hex?],
  credit?: bigint,
): Promise<{ custody: Hex; wrapper: Hex }> {
  const expected = await upcoming(away);
  const custody = await home.chain.deploy(bridges(homeBridge), [linkTo(home, away, expected), homeToken]);
  const rest = awayToken ? [awayToken] : [];
  const wrapper = await away.chain.deploy(bridges(awayBridge), [linkTo(away, home, custody), ...rest]);
  assert.equal(wrapper, expected);
  // Bridges send without value: their messages are paid from what anybody deposited for them.
  await giveCredit(home, custody, credit);
  await giveCredit(away, wrapper, credit);
  return { custody, wrapper };
}

describe("OpenZeppelin's crosschain contracts on the gateways of two chains", () => {
  let alpha: Side;
  let beta: Side;
  let close: (() => Promise<unknown>) | undefined;
  before(async () => {
    ({ alpha, beta, close } = await openPair());
    await Promise.all([priceLane(alpha, beta), priceLane(beta, alpha)]);
    for (const side of [alpha, beta]) for (const account of [alice, bob]) await giveCredit(side, account);
  });
  after(() => close?.());

  /** What is locked and what is minted of every token so far, read after every step. */
  const backings: (() => Promise<{ locked: bigint; minted: bigint }>)[] = [];
  const assertBacked = async () => {
    for (const backing of backings) {
      const { locked, minted } = await backing();
      assert.ok(minted <= locked, `${minted} minted on ${locked} locked`);
    }
  };

  const send = async (side: Side, from: number, to: Hex, data: Hex): Promise<Appended[]> => {
    const appended = await appendedBy(side, from, { to, data });
    await assertBacked();
    return appended;
  };
  const arrive = async (origin: Side, destination: Side, messages: readonly Appended[]) => {
    const outcomes = await carry(origin, destination, messages);
    await assertBacked();
    return outcomes;
  };
  const arrives = async (origin: Side, destination: Side, messages: readonly Appended[]) => {
    const outcomes = await arrive(origin, destination, messages);
    assert.deepEqual(
      outcomes.map(({ kind, id }) => ({ kind, id })),
      messages.map(({ id }) => ({ kind: "executed", id })),
    );
    assert.ok(messages.length > 0);
  };
  /** A first attempt that fails with `reason`; the answer tries again and must succeed. */
  const failsAtFirst = async (origin: Side, destination: Side, [message]: readonly Appended[], reason: Hex) => {
    const [outcome] = await arrive(origin, destination, [message!]);
    assert.equal(outcome?.kind, "failed");
    assert.equal(outcome.reason, reason);
    return async () => {
      const again = await carryAgain(origin, destination, message!);
      await assertBacked();
      assert.deepEqual(
        again.map(({ kind, id }) => ({ kind, id })),
        [{ kind: "executed", id: message!.id }],
      );
    };
  };
  const refusal = (gateway: Hex, sender: Hex): Hex =>
    encodeErrorResult({ abi: recipient, errorName: "ERC7786RecipientUnauthorizedGateway", args: [gateway, sender] });

  const setUpFungible = async (credit?: bigint) => {
    const token = await alpha.chain.deploy("contracts/mocks/TestToken.sol/TestToken", ["Dollar", "USD", 6]);
    const wrapped = await beta.chain.deploy(bridges("WrappedERC20"), [await upcoming(beta, 1)]);
    const { custody, wrapper } = await deployBridges(
      [alpha, "CustodyERC20", token],
      [beta, "BurnAndMint", wrapped],
      credit,
    );
    const balance = ({ chain }: Side, address: Hex, account: Hex) =>
      chain.reader.readContract({ address, abi: fungible, functionName: "balanceOf", args: [account] });
    backings.push(async () => ({
      locked: await balance(alpha, token, custody),
      minted: await beta.chain.reader.readContract({ address: wrapped, abi: fungible, functionName: "totalSupply" }),
    }));
    await send(alpha, 0, token, encodeFunctionData({ abi: fungible, functionName: "mint", args: [alice, 1_000n] }));
    await send(
      alpha,
      ALICE,
      token,
      encodeFunctionData({ abi: fungible, functionName: "approve", args: [custody, 1_000n] }),
    );
    const transfer = (to: Hex, amount: bigint) =>
      encodeFunctionData({ abi: fungible, functionName: "crosschainTransfer", args: [to, amount] });
    return {
      token,
      custody,
      wrapper,
      lock: (to: Hex, amount: bigint) => send(alpha, ALICE, custody, transfer(accountOn(beta, to), amount)),
      burn: (to: Hex, amount: bigint) => send(beta, BOB, wrapper, transfer(accountOn(alpha, to), amount)),
      balances: async () => ({
        alice: await balance(alpha, token, alice),
        custody: await balance(alpha, token, custody),
        bob: await balance(beta, wrapped, bob),
      }),
    };
  };

  it("move an ERC-20 token there, minted by its ERC-7802 twin, and back", async () => {
    const { custody, lock, burn, balances } = await setUpFungible();
    const credit = await creditOf(alpha, custody);
    await arrives(alpha, beta, await lock(bob, 700n));
    assert.ok((await creditOf(alpha, custody)) < credit, "the bridge paid for its message");
    assert.deepEqual(await balances(), { alice: 300n, custody: 700n, bob: 700n });
    await arrives(beta, alpha, await burn(alice, 500n));
    assert.deepEqual(await balances(), { alice: 800n, custody: 200n, bob: 200n });
    await arrives(beta, alpha, await burn(alice, 200n));
    assert.deepEqual(await balances(), { alice: 1_000n, custody: 0n, bob: 0n });
  });

  it("lock nothing while their credit does not cover the message, until anybody adds to it", async () => {
    const { custody, lock, balances } = await setUpFungible(1n);
    await assert.rejects(lock(bob, 700n));
    assert.equal((await balances()).custody, 0n);
    await giveCredit(alpha, custody);
    await arrives(alpha, beta, await lock(bob, 700n));
  });

  it("release an ERC-20 token by a retry when its receiver was frozen at first", async () => {
    const { token, lock, burn, balances } = await setUpFungible();
    const freeze = (frozen: boolean) =>
      send(alpha, 0, token, encodeFunctionData({ abi: fungible, functionName: "setFrozen", args: [alice, frozen] }));
    await arrives(alpha, beta, await lock(bob, 400n));
    await freeze(true);
    const reason = encodeErrorResult({ abi: parseAbi(["error AccountFrozen(address account)"]), args: [alice] });
    const retry = await failsAtFirst(beta, alpha, await burn(alice, 400n), reason);
    assert.deepEqual(await balances(), { alice: 600n, custody: 400n, bob: 0n });
    await assert.rejects(retry());
    await freeze(false);
    await retry();
    assert.deepEqual(await balances(), { alice: 1_000n, custody: 0n, bob: 0n });
    await assert.rejects(retry(), "a message that was executed cannot be executed again");
  });

  it("move an ERC-721 token there and back", async () => {
    const token = await alpha.chain.deploy(bridges("TestERC721"));
    const { custody, wrapper } = await deployBridges([alpha, "CustodyERC721", token], [beta, "WrappedERC721"]);
    const balance = ({ chain }: Side, address: Hex, account: Hex) =>
      chain.reader.readContract({ address, abi: unique, functionName: "balanceOf", args: [account] });
    const ownerOf = ({ chain }: Side, address: Hex) =>
      chain.reader.readContract({ address, abi: unique, functionName: "ownerOf", args: [7n] });
    backings.push(async () => ({
      locked: await balance(alpha, token, custody),
      minted: (await balance(beta, wrapper, alice)) + (await balance(beta, wrapper, bob)),
    }));
    const move = (from: Hex, to: Hex) =>
      encodeFunctionData({ abi: unique, functionName: "crosschainTransferFrom", args: [from, to, 7n] });
    await send(alpha, 0, token, encodeFunctionData({ abi: unique, functionName: "mint", args: [alice, 7n] }));
    await send(alpha, ALICE, token, encodeFunctionData({ abi: unique, functionName: "approve", args: [custody, 7n] }));

    await arrives(alpha, beta, await send(alpha, ALICE, custody, move(alice, accountOn(beta, bob))));
    assert.equal(await ownerOf(alpha, token), custody);
    assert.equal(await ownerOf(beta, wrapper), bob);
    await arrives(beta, alpha, await send(beta, BOB, wrapper, move(bob, accountOn(alpha, alice))));
    assert.equal(await ownerOf(alpha, token), alice);
    await assert.rejects(ownerOf(beta, wrapper), /ERC721NonexistentToken|0x7e273289/);
  });

  it("move a batch of ERC-1155 tokens there, to a holder that takes them only at the retry, and back", async () => {
    const token = await alpha.chain.deploy(bridges("TestERC1155"));
    const { custody, wrapper } = await deployBridges([alpha, "CustodyERC1155", token], [beta, "WrappedERC1155"]);
    const reluctant = await beta.chain.deploy(bridges("ReluctantHolder"));
    const balance = ({ chain }: Side, address: Hex, account: Hex, id: bigint) =>
      chain.reader.readContract({ address, abi: multi, functionName: "balanceOf", args: [account, id] });
    for (const id of [1n, 2n]) {
      backings.push(async () => ({
        locked: await balance(alpha, token, custody, id),
        minted: (await balance(beta, wrapper, bob, id)) + (await balance(beta, wrapper, reluctant, id)),
      }));
      const mint = encodeFunctionData({ abi: multi, functionName: "mint", args: [alice, id, 10n] });
      await send(alpha, 0, token, mint);
    }
    const approve = encodeFunctionData({ abi: multi, functionName: "setApprovalForAll", args: [custody, true] });
    await send(alpha, ALICE, token, approve);
    const move = (from: Hex, to: Hex, values: bigint[]) =>
      encodeFunctionData({ abi: multi, functionName: "crosschainTransferFrom", args: [from, to, [1n, 2n], values] });

    await arrives(alpha, beta, await send(alpha, ALICE, custody, move(alice, accountOn(beta, bob), [3n, 4n])));
    assert.equal(await balance(beta, wrapper, bob, 1n), 3n);
    assert.equal(await balance(beta, wrapper, bob, 2n), 4n);

    const sent = await send(alpha, ALICE, custody, move(alice, accountOn(beta, reluctant), [5n, 6n]));
    const notYet = encodeErrorResult({ abi: holder, errorName: "NotYet" });
    const retry = await failsAtFirst(alpha, beta, sent, notYet);
    assert.equal(await balance(alpha, token, custody, 2n), 10n);
    assert.equal(await balance(beta, wrapper, reluctant, 2n), 0n);
    const will = encodeFunctionData({ abi: holder, functionName: "setWilling", args: [true] });
    await send(beta, BOB, reluctant, will);
    await retry();
    assert.equal(await balance(beta, wrapper, reluctant, 1n), 5n);
    assert.equal(await balance(beta, wrapper, reluctant, 2n), 6n);

    await arrives(beta, alpha, await send(beta, BOB, wrapper, move(bob, accountOn(alpha, alice), [3n, 4n])));
    assert.equal(await balance(alpha, token, alice, 1n), 5n);
    assert.equal(await balance(alpha, token, custody, 1n), 5n);
    assert.equal(await balance(beta, wrapper, bob, 1n), 0n);
  });

  it("mint for nobody but the linked gateway, and on it for nobody but the counterpart", async () => {
    const { custody, wrapper, lock, balances } = await setUpFungible();
    const [honest] = await lock(bob, 1n);
    const forged = honest!.message.payload;
    const receive = (sender: Hex) =>
      encodeFunctionData({ abi: recipient, functionName: "receiveMessage", args: [zeroHash, sender, forged] });
    const counterpart = accountOn(alpha, custody);
    await assert.rejects(
      beta.chain.reader.call({ account: bob, to: wrapper, data: receive(counterpart) }),
      (error: Error) => revertData(error) === refusal(bob, counterpart),
      "bob is no gateway",
    );

    const imitation = await send(
      alpha,
      ALICE,
      alpha.gateway,
      encodeSendMessage({ chainId: beta.chainId, address: wrapper }, forged),
    );
    const outcomes = await arrive(alpha, beta, [honest!, ...imitation]);
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.kind === "failed" ? outcome.reason : outcome.kind)),
      ["executed", refusal(beta.gateway, accountOn(alpha, alice))],
    );
    assert.equal((await balances()).bob, 1n);
  });

  it("act on one chain under the authority of an account of the other", async () => {
    const executor = await beta.chain.deploy(executorPath, [beta.gateway, accountOn(alpha, alice)]);
    const token = await beta.chain.deploy("contracts/mocks/TestToken.sol/TestToken", ["Dollar", "USD", 6]);
    await send(beta, 0, token, encodeFunctionData({ abi: fungible, functionName: "mint", args: [executor, 50n] }));
    const pay = encodeFunctionData({ abi: fungible, functionName: "transfer", args: [bob, 20n] });
    // ERC-7579: a mode word of zeros is one call that must succeed, then target, value and calldata.
    const order = concatHex([zeroHash, encodePacked(["address", "uint256", "bytes"], [token, 0n, pay])]);
    const data = encodeSendMessage({ chainId: beta.chainId, address: executor }, order);
    const balance = () =>
      beta.chain.reader.readContract({ address: token, abi: fungible, functionName: "balanceOf", args: [bob] });

    const byBob = await send(alpha, BOB, alpha.gateway, data);
    const [refused] = await arrive(alpha, beta, byBob);
    assert.equal(refused?.kind === "failed" && refused.reason, refusal(beta.gateway, accountOn(alpha, bob)));
    assert.equal(await balance(), 0n);

    await arrives(alpha, beta, await send(alpha, ALICE, alpha.gateway, data));
    assert.equal(await balance(), 20n);
  });

  it("hand a recipient the message's id, the sender's interoperable address and the payload", async () => {
    const recorder = await beta.chain.deploy("contracts/mocks/MessageRecorder.sol/MessageRecorder", [beta.gateway]);
    const data = encodeSendMessage({ chainId: beta.chainId, address: recorder }, "0xc0ffee");
    const [message] = await send(alpha, ALICE, alpha.gateway, data);
    await arrives(alpha, beta, [message!]);
    const read = { address: recorder, abi: messageRecorderAbi } as const;
    assert.deepEqual(
      await Promise.all([
        beta.chain.reader.readContract({ ...read, functionName: "lastId" }),
        beta.chain.reader.readContract({ ...read, functionName: "lastSender" }),
        beta.chain.reader.readContract({ ...read, functionName: "lastPayload" }),
      ]),
      [message!.id, accountOn(alpha, alice), "0xc0ffee"],
    );
  });
});
