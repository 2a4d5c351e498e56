import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { concatHex, encodeFunctionData, encodePacked, parseAbi, type TransactionReceipt, zeroHash } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { openNetwork, type TestNetwork } from "#test/support/network.ts";
import {
  accountOn,
  type BridgeSide,
  bridgeSide,
  creditOf,
  deployBridges,
  giveCredit,
  messageOf,
  type Person,
  priceLane,
  type Tracked,
} from "./bridgeNetwork.ts";

const timeoutMs = 30_000;
const executorPath = "@openzeppelin/contracts/crosschain/CrosschainRemoteExecutor.sol/CrosschainRemoteExecutor";
const tokenPath = "contracts/mocks/TestToken.sol/TestToken";
const abi = parseAbi([
  "function mint(address to, uint256 amountOrId)",
  "function mint(address to, uint256 id, uint256 value)",
  "function approve(address spender, uint256 amountOrId)",
  "function transfer(address to, uint256 amount)",
  "function setApprovalForAll(address operator, bool approved)",
  "function crosschainTransfer(bytes to, uint256 amount)",
  "function crosschainTransferFrom(address from, bytes to, uint256 id)",
  "function crosschainTransferFrom(address from, bytes to, uint256[] ids, uint256[] values)",
  "function setWilling(bool willing)",
]);
type Encode = typeof encodeFunctionData<typeof abi>;
const call = (functionName: string, ...args: unknown[]): Hex =>
  encodeFunctionData({ abi, functionName, args } as unknown as Parameters<Encode>[0]);

const balanceOf = "function balanceOf(address) view returns (uint256)";
const balanceOfId = "function balanceOf(address, uint256) view returns (uint256)";
const ownerOf = "function ownerOf(uint256) view returns (address)";
const totalSupply = "function totalSupply() view returns (uint256)";

/** Messages go out under checkpoints and come back by proof, on lanes that have a price. */
describe("OpenZeppelin's bridges on the lanes of a running network", () => {
  let test: TestNetwork;
  let alpha: BridgeSide;
  let beta: BridgeSide;
  let carol: Hex;
  let dave: Hex;
  /** Per token, what is locked at home and what is minted away. */
  const backings: (() => Promise<{ locked: bigint; minted: bigint }>)[] = [];
  before(async () => {
    test = await openNetwork(undefined, {
      lanes: [
        { origin: "alpha", destination: "beta", delivery: "checkpoint" },
        { origin: "beta", destination: "alpha", delivery: "proof" },
      ],
    });
    [alpha, beta] = [bridgeSide(test, "alpha"), bridgeSide(test, "beta")];
    [carol, dave] = [test.network.accounts.carol!.address, test.network.accounts.dave!.address];
    await Promise.all([priceLane(alpha, beta), priceLane(beta, alpha)]);
  });
  after(() => test?.close());

  const reaches = async (receipt: TransactionReceipt, status: string): Promise<Tracked> => {
    const { id } = await messageOf(test, receipt);
    return test.api.until<Tracked>(`/v1/messages/${id}`, (message) => message.status === status, timeoutMs);
  };
  /** With nothing under way all that was minted is backed, to the last unit. */
  const assertBacked = async () => {
    for (const backing of backings) {
      const { locked, minted } = await backing();
      assert.equal(minted, locked);
    }
  };
  const arrives = async (receipt: TransactionReceipt) => {
    await reaches(receipt, "delivered");
    await assertBacked();
  };
  const transferring = (side: BridgeSide, from: Person, bridge: Hex, to: Hex, amount: bigint) =>
    side.send(from, { to: bridge, data: call("crosschainTransfer", to, amount) });

  let dollar: { token: Hex; wrapped: Hex; custody: Hex; wrapper: Hex };
  const lock = (amount: bigint) => transferring(alpha, "carol", dollar.custody, accountOn(beta, dave), amount);
  const burn = (amount: bigint) => transferring(beta, "dave", dollar.wrapper, accountOn(alpha, carol), amount);

  it("move an ERC-20 token there, minted by its ERC-7802 twin, and back, out of their credit", async () => {
    const token = await alpha.deploy(tokenPath, ["Dollar", "USD", 6]);
    const wrapped = await beta.deploy("WrappedERC20", [await beta.upcoming(1)]);
    dollar = {
      ...{ token, wrapped },
      ...(await deployBridges([alpha, "CustodyERC20", token], [beta, "BurnAndMint", wrapped])),
    };
    backings.push(async () => ({
      locked: await alpha.read<bigint>(token, balanceOf, [dollar.custody]),
      minted: await beta.read<bigint>(wrapped, totalSupply),
    }));
    await alpha.send("deployer", { to: token, data: call("mint", carol, 1_000n) });
    await alpha.send("carol", { to: token, data: call("approve", dollar.custody, 1_000n) });

    const credit = await creditOf(alpha, dollar.custody);
    await arrives(await lock(700n));
    assert.ok((await creditOf(alpha, dollar.custody)) < credit, "the bridge paid for its message");
    assert.equal(await beta.read(wrapped, balanceOf, [dave]), 700n);
    await arrives(await burn(500n));
    assert.equal(await alpha.read(token, balanceOf, [carol]), 800n);
  });

  it("move an ERC-721 token there and back", async () => {
    const token = await alpha.deploy("TestERC721");
    const { custody, wrapper } = await deployBridges([alpha, "CustodyERC721", token], [beta, "WrappedERC721"]);
    await alpha.send("deployer", { to: token, data: call("mint", carol, 7n) });
    await alpha.send("carol", { to: token, data: call("approve", custody, 7n) });
    const there = call("crosschainTransferFrom", carol, accountOn(beta, dave), 7n);
    await arrives(await alpha.send("carol", { to: custody, data: there }));
    assert.equal(await alpha.read(token, ownerOf, [7n]), custody);
    assert.equal(await beta.read(wrapper, ownerOf, [7n]), dave);
    const back = call("crosschainTransferFrom", dave, accountOn(alpha, carol), 7n);
    await arrives(await beta.send("dave", { to: wrapper, data: back }));
    assert.equal(await alpha.read(token, ownerOf, [7n]), carol);
    await assert.rejects(beta.read(wrapper, ownerOf, [7n]));
  });

  it("move ERC-1155 tokens to a holder that takes them only at a retry through the API", async () => {
    const token = await alpha.deploy("TestERC1155");
    const { custody, wrapper } = await deployBridges([alpha, "CustodyERC1155", token], [beta, "WrappedERC1155"]);
    const reluctant = await beta.deploy("ReluctantHolder");
    for (const id of [1n, 2n]) await alpha.send("deployer", { to: token, data: call("mint", carol, id, 10n) });
    await alpha.send("carol", { to: token, data: call("setApprovalForAll", custody, true) });
    const move = (from: Hex, to: Hex) => call("crosschainTransferFrom", from, to, [1n, 2n], [5n, 6n]);
    const sent = await alpha.send("carol", { to: custody, data: move(carol, accountOn(beta, reluctant)) });
    const { id, reason } = await reaches(sent, "failed");
    assert.equal(reason.code, "execution-failed");
    assert.equal(await alpha.read(token, balanceOfId, [custody, 2n]), 6n);
    assert.equal(await beta.read(wrapper, balanceOfId, [reluctant, 2n]), 0n);
    await beta.send("deployer", { to: reluctant, data: call("setWilling", true) });
    await test.api.post(`/v1/messages/${id}/retry`, {});
    await reaches(sent, "delivered");
    assert.equal(await beta.read(wrapper, balanceOfId, [reluctant, 2n]), 6n);

    const second = await alpha.send("carol", {
      to: custody,
      data: call("crosschainTransferFrom", carol, accountOn(beta, dave), [1n], [4n]),
    });
    await reaches(second, "delivered");
    const back = call("crosschainTransferFrom", dave, accountOn(alpha, carol), [1n], [4n]);
    await reaches(await beta.send("dave", { to: wrapper, data: back }), "delivered");
    assert.equal(await alpha.read(token, balanceOfId, [carol, 1n]), 5n);
    assert.equal(await beta.read(wrapper, balanceOfId, [dave, 1n]), 0n);
  });

  it("act on one chain for an account of the other that the service manages", async () => {
    const { address: alice } = test.network.accounts.alice!;
    const executor = await beta.deploy(executorPath, [beta.gateway, accountOn(alpha, alice)]);
    const { token } = test.network.chains.beta!.deployment;
    await beta.send("deployer", { to: token, data: call("mint", executor, 50n) });
    const before = await beta.read<bigint>(token, balanceOf, [dave]);
    // ERC-7579: a mode word of zeros is one call that must succeed, then target, value and calldata.
    const order = encodePacked(["address", "uint256", "bytes"], [token, 0n, call("transfer", dave, 20n)]);
    await giveCredit(alpha, alice);
    const { id } = await test.api.post<Tracked>("/v1/messages", {
      ...{ origin: "alpha", destination: "beta", recipient: executor, account: "alice" },
      payload: concatHex([zeroHash, order]),
    });
    await test.api.until<Tracked>(`/v1/messages/${id}`, ({ status }) => status === "delivered", timeoutMs);
    assert.equal(await beta.read(token, balanceOf, [dave]), before + 20n);
  });

  it("lose and double nothing while a guardian pauses their lane under traffic, both ways of delivery", async () => {
    const of = (side: BridgeSide, peer: BridgeSide, functionName: "pause" | "unpause") =>
      side.send("deployer", {
        to: side.gateway,
        data: encodeFunctionData({ abi: gatewayAbi, functionName, args: [BigInt(peer.chainId)] }),
      });
    const [minted, released] = await Promise.all([
      beta.read<bigint>(dollar.wrapped, balanceOf, [dave]),
      alpha.read<bigint>(dollar.token, balanceOf, [carol]),
    ]);
    const sent: TransactionReceipt[] = [];
    const both = async () => {
      sent.push(...(await Promise.all([lock(10n), burn(1n)])));
    };
    await both();
    await both();
    await Promise.all([of(alpha, beta, "pause"), of(beta, alpha, "pause")]);
    // A pause holds at both ends: nothing comes in, and nothing new gets on the lane.
    await assert.rejects(lock(10n));
    await assert.rejects(burn(1n));
    const supply = await beta.read<bigint>(dollar.wrapped, totalSupply);
    const messages = await Promise.all(sent.map((receipt) => messageOf(test, receipt)));
    assert.ok(messages.every(({ status }) => status !== "failed"));
    assert.ok(supply <= (await alpha.read<bigint>(dollar.token, balanceOf, [dollar.custody])) + 4n);
    await Promise.all([of(alpha, beta, "unpause"), of(beta, alpha, "unpause")]);
    await both();
    for (const receipt of sent) await reaches(receipt, "delivered");
    await assertBacked();
    assert.equal(await beta.read(dollar.wrapped, balanceOf, [dave]), minted + 3n * 10n - 3n);
    assert.equal(await alpha.read(dollar.token, balanceOf, [carol]), released - 3n * 10n + 3n);
  });
});
