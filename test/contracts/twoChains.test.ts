import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { bytesToHex, encodeFunctionData, erc20Abi, type Hex, slice, zeroAddress } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import { messageRecorderAbi } from "#core/abi/messageRecorder.ts";
import { testTokenAbi } from "#core/abi/testToken.ts";
import { encodeRetry, encodeSendMessage } from "#relay/protocol/calls.ts";
import { checkpointDigest, recoverCheckpointSigner } from "#relay/protocol/checkpoint.ts";
import { encodeInteroperable } from "#relay/protocol/interoperable.ts";
import { decodeGatewayLogs } from "#relay/protocol/logs.ts";
import { emptyAccumulator, messageId, nextAccumulator } from "#relay/protocol/message.ts";
import { validatorSetHash } from "#relay/protocol/quorum.ts";
import { hashlockOf } from "#swap/protocol/hashlock.ts";
import { type LockTerms, lockId } from "#swap/protocol/lockId.ts";
import { decodeAnyLockLog } from "#swap/protocol/lockLogs.ts";
import { encodeClaim, encodeLock, lockValue } from "#swap/protocol/timelock.ts";
import { accounts, chainLogs, openChain, type TestChain } from "./chains.ts";
import { appendedIn, connectGateway, deliveryOf, deployGateway, validatorSet } from "./lane.ts";

const [, alice, bob] = accounts.map(({ address }) => address) as [Hex, Hex, Hex];

describe("contracts on two chains", () => {
  let alpha: TestChain;
  let beta: TestChain;
  before(async () => {
    [alpha, beta] = await Promise.all([openChain("alpha"), openChain("beta")]);
  });
  after(() => Promise.all([alpha?.close(), beta?.close()]));

  describe("a message", () => {
    let origin: { chainId: number; gateway: Hex };
    let destination: { chainId: number; gateway: Hex };
    before(async () => {
      origin = { chainId: alpha.chainId, gateway: await deployGateway(alpha, accounts[0]!.address) };
      // One more contract on beta first, so that the two gateways have different addresses.
      await beta.deploy("contracts/mocks/MessageCounter.sol/MessageCounter");
      destination = { chainId: beta.chainId, gateway: await deployGateway(beta, accounts[0]!.address) };
      await connectGateway(alpha, origin.gateway, destination);
      await connectGateway(beta, destination.gateway, origin);
    });
    const route = () => ({
      originChainId: origin.chainId,
      originGateway: origin.gateway,
      destinationChainId: destination.chainId,
      destinationGateway: destination.gateway,
    });
    const send = async (address: Hex, payload: Hex, gasLimit?: bigint) => {
      const data = encodeSendMessage({ chainId: destination.chainId, address }, payload, gasLimit);
      return appendedIn((await alpha.send(1, { to: origin.gateway, data })).logs)[0]!;
    };

    it("is executed at its destination under the signatures of two validators of three", async () => {
      const recorder = await beta.deploy("contracts/mocks/MessageRecorder.sol/MessageRecorder", [destination.gateway]);
      const first = await send(recorder, "0x6869");
      const second = await send(recorder, "0x", 300_000n);
      assert.equal(messageId(route(), 1n, first.message), first.id);
      assert.equal(messageId(route(), 2n, second.message), second.id);
      assert.equal(nextAccumulator(nextAccumulator(emptyAccumulator, first.id), second.id), second.accumulator);
      assert.equal(first.message.gasLimit, 200_000n);

      const { data, delivery } = await deliveryOf(origin, destination, [first, second]);
      const { logs } = await beta.send(3, { to: destination.gateway, data });
      assert.deepEqual(
        decodeGatewayLogs(chainLogs(logs)).map(({ kind, id, nonce }) => ({ kind, id, nonce })),
        [
          { kind: "executed", id: first.id, nonce: 1n },
          { kind: "executed", id: second.id, nonce: 2n },
        ],
      );
      const read = { address: recorder, abi: messageRecorderAbi } as const;
      assert.equal(await beta.reader.readContract({ ...read, functionName: "count" }), 2n);
      assert.equal(
        await beta.reader.readContract({ ...read, functionName: "lastSender" }),
        encodeInteroperable({ chainId: origin.chainId, address: alice }).toLowerCase(),
      );
      const gateway = { address: destination.gateway, abi: gatewayAbi } as const;
      assert.equal(
        await beta.reader.readContract({
          ...gateway,
          functionName: "checkpointDigest",
          args: [{ ...delivery.checkpoint, originChainId: BigInt(origin.chainId) }],
        }),
        checkpointDigest(destination, delivery.checkpoint),
      );
      const [setHash] = await beta.reader.readContract({
        ...gateway,
        functionName: "epochInfo",
        args: [BigInt(origin.chainId), 1n],
      });
      assert.equal(setHash, slice(validatorSetHash(origin.chainId, 1n, validatorSet), 0, 26));
      for (const { signer, signature } of delivery.signatures) {
        assert.equal(await recoverCheckpointSigner(destination, delivery.checkpoint, signature), signer);
      }
      assert.deepEqual(
        await beta.reader.readContract({
          ...gateway,
          functionName: "inboundHead",
          args: [BigInt(origin.chainId)],
        }),
        await alpha.reader.readContract({
          address: origin.gateway,
          abi: gatewayAbi,
          functionName: "outboundHead",
          args: [BigInt(destination.chainId)],
        }),
      );
    });

    it("that failed is executed by a retry", async () => {
      const recipient = await beta.deploy("contracts/mocks/HostileRecipients.sol/RevertingRecipient");
      const message = await send(recipient, "0x01");
      const { data } = await deliveryOf(origin, destination, [message]);
      const delivered = decodeGatewayLogs(chainLogs((await beta.send(3, { to: destination.gateway, data })).logs));
      assert.deepEqual(
        delivered.map(({ kind, id }) => ({ kind, id })),
        [{ kind: "failed", id: message.id }],
      );
      const accept = encodeFunctionData({
        abi: [
          {
            type: "function",
            name: "setAccepting",
            inputs: [{ type: "bool" }],
            outputs: [],
            stateMutability: "nonpayable",
          },
        ],
        args: [true],
      });
      await beta.send(0, { to: recipient, data: accept });
      const retry = encodeRetry(origin, message.nonce, message.message);
      const retried = decodeGatewayLogs(chainLogs((await beta.send(3, { to: destination.gateway, data: retry })).logs));
      assert.deepEqual(
        retried.map(({ kind, id }) => ({ kind, id })),
        [{ kind: "executed", id: message.id }],
      );
    });
  });

  it("swap native coin for a token with one secret", async () => {
    const timelocks = {
      alpha: await alpha.deploy("contracts/HashedTimelock.sol/HashedTimelock"),
      beta: await beta.deploy("contracts/HashedTimelock.sol/HashedTimelock"),
    };
    const token = await beta.deploy("contracts/mocks/TestToken.sol/TestToken", ["Dollar", "USD", 6]);
    const price = 2_500_000_000n;
    await beta.send(2, {
      to: token,
      data: encodeFunctionData({ abi: testTokenAbi, functionName: "mint", args: [bob, price] }),
    });
    await beta.send(2, {
      to: token,
      data: encodeFunctionData({ abi: erc20Abi, functionName: "approve", args: [timelocks.beta, price] }),
    });

    const secret = bytesToHex(randomBytes(32));
    const hashlock = hashlockOf(secret);
    const { timestamp } = await alpha.reader.getBlock();
    const source: LockTerms = {
      sender: alice,
      recipient: bob,
      token: zeroAddress,
      amount: 10n ** 18n,
      hashlock,
      timelock: timestamp + 7_200n,
      tip: 0n,
    };
    const target: LockTerms = {
      ...source,
      sender: bob,
      recipient: alice,
      token,
      amount: price,
      timelock: timestamp + 3_600n,
    };
    const lock = async (chain: TestChain, from: number, to: Hex, terms: LockTerms) => {
      const { logs } = await chain.send(from, { to, data: encodeLock(terms), value: lockValue(terms) });
      const place = { chainId: chain.chainId, contract: to };
      const [locked] = chainLogs(logs).flatMap((log) => (log.address === to ? [decodeAnyLockLog(log, place)] : []));
      const lock = { id: lockId(chain.chainId, to, terms), lock: { kind: "payment", terms } };
      assert.deepEqual(locked, { kind: "locked", locks: [lock] });
    };
    await lock(alpha, 1, timelocks.alpha, source);
    await lock(beta, 2, timelocks.beta, target);

    await beta.send(1, { to: timelocks.beta, data: encodeClaim(target, secret) });
    const [claimed] = await beta.reader.getContractEvents({
      address: timelocks.beta,
      abi: hashedTimelockAbi,
      eventName: "Claimed",
      fromBlock: 0n,
    });
    assert.equal(claimed?.args.secret, secret);
    const before = await alpha.reader.getBalance({ address: bob });
    // Anyone may finish it: here a third account does, and bob gets exactly the amount.
    await alpha.send(3, { to: timelocks.alpha, data: encodeClaim(source, claimed!.args.secret!) });
    assert.equal((await alpha.reader.getBalance({ address: bob })) - before, source.amount);
    assert.equal(
      await beta.reader.readContract({ address: token, abi: erc20Abi, functionName: "balanceOf", args: [alice] }),
      price,
    );
  });
});
