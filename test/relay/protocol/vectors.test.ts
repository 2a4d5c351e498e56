import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BaseError, ContractFunctionRevertedError, getAddress, type Hex } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { packMessages } from "#relay/protocol/calls.ts";
import { type Checkpoint, checkpointDigest } from "#relay/protocol/checkpoint.ts";
import { decodeInteroperable, encodeInteroperable } from "#relay/protocol/interoperable.ts";
import { hashAttributes, messageId, nextAccumulator } from "#relay/protocol/message.ts";
import { type QuorumSet, type Threshold, toContractSet, validatorSetHash } from "#relay/protocol/quorum.ts";
import { rotationDigest } from "#relay/protocol/rotation.ts";
import { openChain, type TestChain } from "#test/contracts/chains.ts";
import * as byEthers from "#test/vectors/ethersMessages.ts";
import vectors from "#test/vectors/messages.json" with { type: "json" };

const hex = (text: string): Hex => `0x${text.slice(2)}`;

/** One half of a gateway's code at an address of our choice on the chain with the given id. */
async function gatewayAt(
  chains: readonly TestChain[],
  chainId: number,
  gateway: Hex,
  half: "Gateway" | "GatewayControl" = "GatewayControl",
) {
  const chain = chains.find((some) => some.chainId === chainId);
  assert.ok(chain, `a chain with id ${chainId}`);
  await chain.place(`contracts/${half}.sol/${half}`, gateway);
  return { reader: chain.reader, contract: { address: gateway, abi: gatewayAbi } as const };
}

describe("message vectors: contract, viem and ethers agree", () => {
  let chains: TestChain[] = [];
  before(async () => {
    chains = await Promise.all([openChain("alpha"), openChain("beta")]);
  });
  after(() => Promise.all(chains.map((chain) => chain.close())));

  for (const vector of vectors.messages) {
    it(`id: ${vector.name}`, async () => {
      const { expected } = vector;
      const route = {
        originChainId: vector.originChainId,
        originGateway: hex(vector.originGateway),
        destinationChainId: vector.destinationChainId,
        destinationGateway: hex(vector.destinationGateway),
      };
      const message = {
        sender: hex(vector.sender),
        recipient: hex(vector.recipient),
        gasLimit: BigInt(vector.gasLimit),
        attributesHash: hashAttributes(vector.attributes.map(hex)),
        payload: hex(vector.payload),
      };
      assert.equal(message.attributesHash, expected.attributesHash);
      assert.equal(messageId(route, BigInt(vector.nonce), message), expected.id);
      assert.equal(nextAccumulator(hex(vector.previousAccumulator), hex(expected.id)), expected.accumulator);
      assert.equal(byEthers.attributesHash(vector.attributes), expected.attributesHash);
      assert.equal(byEthers.messageId(vector), expected.id);
      assert.equal(byEthers.nextAccumulator(vector.previousAccumulator, expected.id), expected.accumulator);

      // The contract says an id when it refuses to retry a message that never failed.
      const { reader, contract } = await gatewayAt(
        chains,
        route.destinationChainId,
        route.destinationGateway,
        "Gateway",
      );
      const retry = reader.simulateContract({
        ...contract,
        functionName: "retry",
        args: [BigInt(route.originChainId), route.originGateway, BigInt(vector.nonce), packMessages([message])],
      });
      const error = await retry.then(
        () => undefined,
        (caught: unknown) => caught,
      );
      const reverted = error instanceof BaseError && error.walk((one) => one instanceof ContractFunctionRevertedError);
      assert.ok(reverted instanceof ContractFunctionRevertedError);
      assert.deepEqual([reverted.data?.errorName, reverted.data?.args], ["NotRetryable", [expected.id]]);
    });
  }

  for (const vector of vectors.checkpoints) {
    it(`checkpoint digest: ${vector.name}`, async () => {
      const checkpoint: Checkpoint = {
        originChainId: vector.originChainId,
        originGateway: hex(vector.originGateway),
        generation: vector.generation,
        nonce: BigInt(vector.nonce),
        accumulator: hex(vector.accumulator),
        epoch: BigInt(vector.epoch),
      };
      const destination = { chainId: vector.destination.chainId, gateway: hex(vector.destination.gateway) };
      assert.equal(checkpointDigest(destination, checkpoint), vector.expected.digest);
      const { name: _name, expected: _expected, ...plain } = vector;
      assert.equal(byEthers.checkpointDigest(plain), vector.expected.digest);
      const { reader, contract } = await gatewayAt(chains, destination.chainId, destination.gateway);
      const answer = await reader.readContract({
        ...contract,
        functionName: "checkpointDigest",
        args: [{ ...checkpoint, originChainId: BigInt(checkpoint.originChainId) }],
      });
      assert.equal(answer, vector.expected.digest);
    });
  }

  for (const { name, destination: to, expected, ...rest } of vectors.rotations) {
    it(`rotation digest: ${name}`, async () => {
      const destination = { chainId: to.chainId, gateway: hex(to.gateway) };
      const rotation = { ...rest, oldEpoch: BigInt(rest.oldEpoch), newSetHash: hex(rest.newSetHash) };
      assert.equal(rotationDigest(destination, rotation), expected.digest);
      assert.equal(byEthers.rotationDigest({ destination: to, ...rest }), expected.digest);
      const { reader, contract } = await gatewayAt(chains, destination.chainId, destination.gateway);
      const args = [BigInt(rotation.originChainId), rotation.oldEpoch, rotation.newSetHash] as const;
      const answer = await reader.readContract({ ...contract, functionName: "rotationDigest", args });
      assert.equal(answer, expected.digest);
    });
  }

  for (const vector of vectors.validatorSets) {
    it(`set hash: ${vector.name}`, async () => {
      const set: QuorumSet = {
        validators: vector.validators
          .map(({ account, weight }) => ({ account: hex(account), weight: BigInt(weight) }))
          .reverse(),
        threshold: thresholdOf(vector.rule, BigInt(vector.value), BigInt(vector.outOf)),
      };
      assert.equal(validatorSetHash(vector.originChainId, BigInt(vector.epoch), set), vector.expected.hash);
      assert.equal(byEthers.setHash(vector), vector.expected.hash);
      const gateway = hex(vectors.checkpoints[0]!.destination.gateway);
      const { reader, contract } = await gatewayAt(chains, vectors.checkpoints[0]!.destination.chainId, gateway);
      const answer = await reader.readContract({
        ...contract,
        functionName: "setHashOf",
        args: [BigInt(vector.originChainId), BigInt(vector.epoch), toContractSet(set)],
      });
      assert.equal(answer, vector.expected.hash);
    });
  }

  for (const { chainId, address, expected } of vectors.interoperableAddresses) {
    it(`interoperable address on chain ${chainId}`, () => {
      const account = { chainId, address: getAddress(address) };
      assert.equal(encodeInteroperable(account).toLowerCase(), expected);
      assert.equal(byEthers.interoperable(chainId, address), expected);
      assert.deepEqual(decodeInteroperable(hex(expected)), account);
    });
  }
});

function thresholdOf(rule: number, value: bigint, outOf: bigint): Threshold {
  if (rule === 0) return { rule: "absoluteWeight", weight: value };
  return rule === 1 ? { rule: "simpleMajority" } : { rule: "superMajority", numerator: value, denominator: outOf };
}
