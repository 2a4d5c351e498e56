import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { encodeFunctionData, type Hex, parseAbi } from "viem";
import { encodeAccessPlan } from "#app/network/roles.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { messageRecorderAbi } from "#core/abi/messageRecorder.ts";
import { encodeSendMessage } from "#relay/protocol/calls.ts";
import { type Appended, decodeGatewayLogs } from "#relay/protocol/logs.ts";
import { toContractSet } from "#relay/protocol/quorum.ts";
import { accounts, chainLogs } from "./chains.ts";
import { appendedBy, authorityOf, carry, carryAgain, openPair, type Side } from "./gatewayPair.ts";
import { deploySecond, encodeSchedule, encodeUpgrade, implementationOf, wait } from "./governed.ts";
import { deliveryOf, validatorSet } from "./lane.ts";
import { refusalOf } from "./reverts.ts";

const [deployer, governance, guardian, operator, administrator] = accounts.map(({ address }) => address) as Hex[];
const [DEPLOYER, GOVERNANCE, SENDER] = [0, 1, 5];
const DELAY = 172_800;

const v2Abi = parseAbi(["function initializeV2(uint256 motto)", "function motto() view returns (uint256)"]);
const fickleAbi = parseAbi(["function setAccepting(bool accepting)"]);

const beginning = (motto: bigint) => encodeFunctionData({ abi: v2Abi, functionName: "initializeV2", args: [motto] });
const mottoOf = ({ chain, gateway }: Side) =>
  chain.reader.readContract({ address: gateway, abi: v2Abi, functionName: "motto" });

/** Recipients on one chain: one that takes everything, and one that rejects until it is told not to. */
const deployRecipients = async ({ chain, gateway }: Side) => ({
  recorder: await chain.deploy("contracts/mocks/MessageRecorder.sol/MessageRecorder", [gateway]),
  fickle: await chain.deploy("contracts/mocks/HostileRecipients.sol/RevertingRecipient"),
});
const relent = ({ chain }: Side, fickle: Hex) =>
  chain.send(SENDER, { to: fickle, data: encodeFunctionData({ abi: fickleAbi, args: [true] }) });

const sendTo = async (origin: Side, destination: Side, recipient: Hex, payload: Hex): Promise<Appended> => {
  const data = encodeSendMessage({ chainId: destination.chainId, address: recipient }, payload);
  return (await appendedBy(origin, SENDER, { to: origin.gateway, data }))[0]!;
};

/** What a gateway answers about its lanes and validators. */
async function stateOf({ chain, gateway }: Side, peer: Side, failed: readonly Appended[]) {
  const read = { address: gateway, abi: gatewayAbi } as const;
  const peerId = BigInt(peer.chainId);
  return {
    authority: await chain.reader.readContract({ ...read, functionName: "authority" }),
    outbound: await chain.reader.readContract({ ...read, functionName: "outboundHead", args: [peerId] }),
    inbound: await chain.reader.readContract({ ...read, functionName: "inboundHead", args: [peerId] }),
    config: await chain.reader.readContract({ ...read, functionName: "laneConfig", args: [peerId] }),
    newest: await chain.reader.readContract({ ...read, functionName: "newestEpoch", args: [peerId] }),
    epochs: await Promise.all(
      [1n, 2n].map((epoch) => chain.reader.readContract({ ...read, functionName: "epochInfo", args: [peerId, epoch] })),
    ),
    retryable: await Promise.all(
      failed.map(({ id }) => chain.reader.readContract({ ...read, functionName: "isRetryable", args: [peerId, id] })),
    ),
  };
}

describe("an upgrade of a gateway", () => {
  let alpha: Side;
  let beta: Side;
  let close: (() => Promise<unknown>) | undefined;
  let second: Hex;
  before(async () => {
    ({ alpha, beta, close } = await openPair());
    second = await deploySecond(beta.chain);
  });
  after(() => close?.());
  const refusal = (to: Hex, data: Hex) => refusalOf(beta.chain, deployer!, to, data);

  it("is refused to anything that is no UUPS implementation", async () => {
    const sink = await beta.chain.deploy("contracts/mocks/MessageCounter.sol/MessageCounter");
    for (const target of [sink, beta.gateway]) {
      assert.equal(await refusal(beta.gateway, encodeUpgrade(target)), "ERC1967InvalidImplementation");
    }
    assert.equal(await refusal(beta.gateway, encodeUpgrade(governance!)), "nothing said", "no code there");
    assert.equal(await refusal(second, encodeUpgrade(second)), "UUPSUnauthorizedCallContext", "not through the proxy");
    assert.equal(await refusal(beta.gateway, encodeUpgrade(second)), undefined);
  });

  it("keeps lanes, heads, epochs and messages that failed, and what is new begins beside them", async () => {
    const { recorder, fickle } = await deployRecipients(beta);
    const back = await deployRecipients(alpha);
    const first = await sendTo(alpha, beta, recorder, "0x01");
    const failed = await sendTo(alpha, beta, fickle, "0x02");
    const open = await sendTo(alpha, beta, recorder, "0x03");
    const answer = await sendTo(beta, alpha, back.recorder, "0x04");
    await carry(alpha, beta, [first, failed]);
    const set = toContractSet({ ...validatorSet, threshold: { rule: "absoluteWeight", weight: 3n } });
    const rotate = encodeFunctionData({
      abi: gatewayAbi,
      functionName: "setValidators",
      args: [BigInt(alpha.chainId), 1n, set, 86_400n],
    });
    await beta.chain.send(DEPLOYER, { to: beta.gateway, data: rotate });

    const before = await stateOf(beta, alpha, [failed, open]);
    assert.deepEqual([before.inbound.nonce, before.outbound.nonce, before.newest], [2n, 1n, 2n]);
    assert.deepEqual(before.retryable, [true, false]);
    await beta.chain.send(DEPLOYER, { to: beta.gateway, data: encodeUpgrade(second, beginning(7n)) });
    assert.equal(await implementationOf(beta.chain, beta.gateway), second);
    assert.deepEqual(await stateOf(beta, alpha, [failed, open]), before);
    assert.equal(await mottoOf(beta), 7n);

    await relent(beta, fickle);
    assert.equal((await carryAgain(alpha, beta, failed))[0]?.kind, "executed");
    assert.equal((await carry(alpha, beta, [open]))[0]?.kind, "executed", "under the epoch before");
    assert.equal((await carry(beta, alpha, [answer]))[0]?.kind, "executed");
    assert.equal((await sendTo(beta, alpha, back.recorder, "0x05")).nonce, 2n);
  });

  it("leaves no initialiser open, neither in the proxy nor in an implementation", async () => {
    const initialize = encodeFunctionData({ abi: gatewayAbi, functionName: "initialize", args: [deployer!] });
    const old = await implementationOf(alpha.chain, alpha.gateway);
    assert.equal(await refusalOf(alpha.chain, deployer!, old, initialize), "InvalidInitialization");
    for (const [where, address] of Object.entries({ proxy: beta.gateway, implementation: second })) {
      assert.equal(await refusal(address, initialize), "InvalidInitialization", where);
      assert.equal(await refusal(address, beginning(8n)), "InvalidInitialization", where);
    }
    assert.equal(await mottoOf(beta), 7n);
  });
});

describe("upgrading both gateways, one after the other, while messages flow both ways", () => {
  /** A lane with its messages: all that were sent, those yet to be delivered, and those that failed. */
  type Lane = {
    readonly origin: Side;
    readonly destination: Side;
    readonly recipients: { recorder: Hex; fickle: Hex };
    readonly sent: Appended[];
    readonly failed: Appended[];
    waiting: Appended[];
  };
  let sides: Side[];
  let lanes: Lane[];
  let close: (() => Promise<unknown>) | undefined;
  before(async () => {
    const pair = await openPair();
    close = pair.close;
    sides = [pair.alpha, pair.beta];
    lanes = await Promise.all(
      [sides, sides.toReversed()].map(async ([origin, destination]) => ({
        ...{ origin: origin!, destination: destination!, recipients: await deployRecipients(destination!) },
        ...{ sent: [], waiting: [], failed: [] },
      })),
    );
    for (const side of sides) {
      const holders = {
        governance: governance!,
        guardian: guardian!,
        operator: operator!,
        administrator: administrator!,
      };
      const plan = encodeAccessPlan({ gateway: side.gateway, deployer: deployer!, holders, delay: DELAY });
      await side.chain.send(DEPLOYER, { to: await authorityOf(side), data: plan });
    }
  });
  after(() => close?.());

  const send = async (lane: Lane, to: "recorder" | "fickle" = "recorder") => {
    const message = await sendTo(lane.origin, lane.destination, lane.recipients[to], "0xda7a");
    lane.sent.push(message);
    lane.waiting.push(message);
  };
  const deliver = async (lane: Lane, count = lane.waiting.length) => {
    const messages = lane.waiting.splice(0, count);
    const outcomes = await carry(lane.origin, lane.destination, messages);
    lane.failed.push(...messages.filter((_, i) => outcomes[i]?.kind === "failed"));
  };
  /** Leaves in each lane one message that failed, one that is signed but not brought, and one that only its origin knows. */
  const traffic = async () => {
    const signed: { lane: Lane; data: Hex }[] = [];
    for (const lane of lanes) {
      for (const to of ["recorder", "fickle", "recorder", "recorder"] as const) await send(lane, to);
      await deliver(lane, lane.waiting.length - 2);
      const { data } = await deliveryOf(lane.origin, lane.destination, lane.waiting.splice(0, 1));
      signed.push({ lane, data });
    }
    return async () => {
      for (const { lane, data } of signed) {
        await lane.destination.chain.send(SENDER, { to: lane.destination.gateway, data });
      }
    };
  };
  const upgrade = async (side: Side, motto: bigint) => {
    const data = encodeUpgrade(await deploySecond(side.chain), beginning(motto));
    const authority = await authorityOf(side);
    await side.chain.send(GOVERNANCE, { to: authority, data: encodeSchedule(side.gateway, data) });
    const bring = await traffic();
    assert.equal(await refusalOf(side.chain, governance!, side.gateway, data), "AccessManagerNotReady");
    for (const { chain } of sides) await wait(chain, DELAY);
    await side.chain.send(GOVERNANCE, { to: side.gateway, data });
    await bring();
  };
  const executedNonces = async ({ origin, destination: { chain, gateway } }: Lane) => {
    const logs = chainLogs(await chain.reader.getLogs({ address: gateway, fromBlock: 0n }));
    return decodeGatewayLogs(logs).flatMap((log) =>
      log.kind === "executed" && log.originChainId === origin.chainId ? [Number(log.nonce)] : [],
    );
  };

  it("loses no message and executes none twice", async () => {
    await (await traffic())();
    for (const [i, side] of sides.entries()) {
      await upgrade(side, BigInt(i + 1));
      for (const lane of lanes) await deliver(lane, 1);
      await (await traffic())();
    }
    for (const lane of lanes) {
      await deliver(lane);
      await relent(lane.destination, lane.recipients.fickle);
      for (const message of lane.failed) {
        assert.equal((await carryAgain(lane.origin, lane.destination, message))[0]?.kind, "executed");
      }
    }

    assert.deepEqual(await Promise.all(sides.map(mottoOf)), [1n, 2n]);
    for (const lane of lanes) {
      const { origin, destination, sent, failed, recipients } = lane;
      const [{ outbound }, { inbound }] = await Promise.all([
        stateOf(origin, destination, []),
        stateOf(destination, origin, []),
      ]);
      assert.deepEqual(inbound, outbound);
      assert.equal(Number(outbound.nonce), sent.length);
      assert.ok(failed.length > 3 && failed.length < sent.length);
      const all = sent.map((_, i) => i + 1);
      assert.deepEqual(
        (await executedNonces(lane)).toSorted((a, b) => a - b),
        all,
      );
      const recorded = await destination.chain.reader.readContract({
        address: recipients.recorder,
        abi: messageRecorderAbi,
        functionName: "count",
      });
      assert.equal(Number(recorded), sent.length - failed.length);
    }
  });
});
