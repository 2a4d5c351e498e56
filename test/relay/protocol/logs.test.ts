import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeAbiParameters, encodeEventTopics, type Hex, keccak256, parseAbiParameters, zeroHash } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { ChainLog } from "#core/chain/chain.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { encodeInteroperable } from "#relay/protocol/interoperable.ts";
import { decodeGatewayLogs } from "#relay/protocol/logs.ts";
import { gasLimitAttribute, hashAttributes } from "#relay/protocol/message.ts";

const sender: Hex = "0x00000000000000000000000000000000000000AA";
const recipient: Hex = "0x00000000000000000000000000000000000000bb";
const id = keccak256("0x01");
const attributes = [gasLimitAttribute(150_000n)];

const sent = {
  topics: encodeEventTopics({ abi: gatewayAbi, eventName: "MessageSent", args: { sendId: zeroHash } }),
  data: encodeAbiParameters(parseAbiParameters("bytes, bytes, bytes, uint256, bytes[]"), [
    encodeInteroperable({ chainId: 1, address: sender }),
    encodeInteroperable({ chainId: 2, address: recipient }),
    "0x6869",
    0n,
    attributes,
  ]),
};
const appended = {
  topics: encodeEventTopics({ abi: gatewayAbi, eventName: "LaneAppended", args: { destination: 2n, nonce: 7n, id } }),
  data: encodeAbiParameters(parseAbiParameters("bytes32, uint256"), [keccak256("0x02"), 150_000n]),
};
const foreign = { topics: [keccak256("0x03")], data: "0x" as Hex };

const logAt = (logIndex: number, { topics, data }: { topics: unknown; data: Hex }, transactionHash = id): ChainLog => ({
  address: sender,
  topics: topics as Hex[],
  data,
  blockNumber: 1n,
  blockHash: zeroHash,
  transactionHash,
  logIndex,
});
const unpaired = (error: unknown) => isLockstepError(error, "chain-answer-invalid");

describe("logs of a gateway", () => {
  it("join a message's content with its place in the lane", () => {
    const logs = [logAt(0, foreign), logAt(3, sent), logAt(4, appended), logAt(5, foreign)];
    assert.deepEqual(decodeGatewayLogs(logs), [
      {
        kind: "appended",
        destinationChainId: 2,
        nonce: 7n,
        id,
        accumulator: keccak256("0x02"),
        message: {
          sender,
          recipient,
          gasLimit: 150_000n,
          attributesHash: hashAttributes(attributes),
          payload: "0x6869",
        },
        log: logs[2],
      },
    ]);
  });

  it("are refused when half of a message is missing", () => {
    assert.throws(() => decodeGatewayLogs([logAt(0, sent)]), unpaired);
    assert.throws(() => decodeGatewayLogs([logAt(0, appended)]), unpaired);
    assert.throws(() => decodeGatewayLogs([logAt(0, sent), logAt(1, foreign), logAt(2, appended)]), unpaired);
    assert.throws(() => decodeGatewayLogs([logAt(0, sent), logAt(2, appended)]), unpaired);
    assert.throws(() => decodeGatewayLogs([logAt(0, sent), logAt(1, appended, keccak256("0x09"))]), unpaired);
  });
});
