import { encodeAbiParameters, encodeEventTopics, keccak256, parseAbiParameters, toHex } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Block, ChainLog } from "#core/chain/chain.ts";
import type { IndexedBlock } from "#core/indexer/observer.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { RelayChain } from "#relay";
import { encodeInteroperable } from "#relay/protocol/interoperable.ts";
import { emptyAccumulator, messageId, nextAccumulator, type Route } from "#relay/protocol/message.ts";
import { addressOf, hashOf } from "./samples.ts";

const deaf = () => Promise.reject(new Error("this chain is never asked"));

/** A chain that is only a name and an id. */
export const chainNamed = (name: string, chainId: number): RelayChain["chain"] => ({
  ...{ name, chainId, genesis: deaf, block: deaf, logs: deaf, receipt: deaf, call: deaf, account: deaf },
  ...{ fees: deaf, send: deaf, storage: deaf },
});

export const sites = {
  alpha: { chain: chainNamed("alpha", 1), gateway: addressOf(101) },
  beta: { chain: chainNamed("beta", 2), gateway: addressOf(102) },
} as const;

const route: Route = {
  ...{ originChainId: 1, originGateway: sites.alpha.gateway },
  ...{ destinationChainId: 2, destinationGateway: sites.beta.gateway },
};

export type Sample = { readonly nonce: bigint; readonly id: Hex; readonly accumulator: Hex; readonly payload: Hex };

const content = (payload: Hex, sender: Hex) => ({
  ...{ sender, recipient: addressOf(2), gasLimit: 200_000n, attributesHash: emptyAccumulator, payload },
});

/** Messages of one lane, each on top of the one before. */
export function laneOf(payloads: readonly Hex[], sender = addressOf(1)): Sample[] {
  let accumulator: Hex = emptyAccumulator;
  return payloads.map((payload, index) => {
    const nonce = BigInt(index + 1);
    const id = messageId(route, nonce, content(payload, sender));
    accumulator = nextAccumulator(accumulator, id);
    return { nonce, id, accumulator, payload };
  });
}

export const block = (number: bigint, fork = 0): Block => ({
  ...{ number, hash: hashOf(Number(number) * 10 + fork), parentHash: hashOf(0), timestamp: 1_000n + number },
});

type Place = { readonly at: Block; readonly transaction: Hex; readonly index: number };

const logAt = ({ at, transaction, index }: Place, address: Hex, topics: readonly unknown[], data: Hex): ChainLog => ({
  ...{ address, topics: topics as readonly Hex[], data, blockNumber: at.number, blockHash: at.hash },
  ...{ transactionHash: transaction, logIndex: index },
});

/** What the data of an event holds. */
const unindexed = {
  MessageSent: parseAbiParameters("bytes sender, bytes recipient, bytes payload, uint256 value, bytes[] attributes"),
  LaneAppended: parseAbiParameters("bytes32 accumulator, uint256 gasLimit"),
  MessageExecuted: parseAbiParameters("uint64 nonce"),
  MessageFailed: parseAbiParameters("uint64 nonce, bytes reason"),
  LaneRealigned: parseAbiParameters("uint32 generation, uint64 nonce, bytes32 accumulator, bytes32[] retryableIds"),
};

/** What comes before the logs of a message that was paid for. */
export function feeLog(place: Place, fee: bigint, sender = addressOf(1)): ChainLog {
  const topics = encodeEventTopics({ ...{ abi: gatewayAbi, eventName: "FeePaid", args: { sender } } });
  return logAt(place, sites.alpha.gateway, topics, encodeAbiParameters(parseAbiParameters("uint256"), [fee]));
}

/** The two logs of a sent message. */
export function sentLogs(sample: Sample, place: Place, sender = addressOf(1)): ChainLog[] {
  const { nonce, id, accumulator, payload } = sample;
  const { alpha } = sites;
  const sentTopics = encodeEventTopics({
    ...{ abi: gatewayAbi, eventName: "MessageSent", args: { sendId: emptyAccumulator } },
  });
  const sentData = encodeAbiParameters(unindexed.MessageSent, [
    encodeInteroperable({ chainId: 1, address: sender }),
    encodeInteroperable({ chainId: 2, address: addressOf(2) }),
    payload,
    0n,
    [],
  ]);
  const topics = encodeEventTopics({
    ...{ abi: gatewayAbi, eventName: "LaneAppended", args: { destination: 2n, nonce, id } },
  });
  const data = encodeAbiParameters(unindexed.LaneAppended, [accumulator, 200_000n]);
  return [
    logAt(place, alpha.gateway, sentTopics, sentData),
    logAt({ ...place, index: place.index + 1 }, alpha.gateway, topics, data),
  ];
}

/** The log of a lane that was realigned to continue after a message. */
export function realignedLog(last: Sample, place: Place, retryableIds: readonly Hex[] = [], generation = 1): ChainLog {
  const topics = encodeEventTopics({ abi: gatewayAbi, eventName: "LaneRealigned", args: { origin: 1n } });
  const data = encodeAbiParameters(unindexed.LaneRealigned, [
    generation,
    last.nonce,
    last.accumulator,
    [...retryableIds],
  ]);
  return logAt(place, sites.beta.gateway, topics, data);
}

/** The log of a message's first attempt or retry at the destination. */
export function attemptLog(sample: Sample, place: Place, kind: "MessageExecuted" | "MessageFailed"): ChainLog {
  const { id, nonce } = sample;
  const topics = encodeEventTopics({ abi: gatewayAbi, eventName: kind, args: { id, origin: 1n } });
  const data =
    kind === "MessageFailed"
      ? encodeAbiParameters(unindexed.MessageFailed, [nonce, "0x1234"])
      : encodeAbiParameters(unindexed.MessageExecuted, [nonce]);
  return logAt(place, sites.beta.gateway, topics, data);
}

export const transactionOf = (name: string): Hex => keccak256(toHex(name));

/** A block with the messages, each sent in a transaction of its own unless one is named. */
export function sendingBlock(at: Block, samples: readonly Sample[], transaction?: Hex, sender?: Hex): IndexedBlock {
  const logs = samples.flatMap((sample, n) =>
    sentLogs(sample, { at, transaction: transaction ?? transactionOf(sample.payload), index: 2 * n }, sender),
  );
  return { block: at, logs };
}

/** As `sendingBlock`, where each message was paid for. */
export function paidBlock(at: Block, samples: readonly Sample[], fee: bigint): IndexedBlock {
  const logs = samples.flatMap((sample, n) => {
    const place = { at, transaction: transactionOf(sample.id), index: 3 * n };
    return [feeLog(place, fee), ...sentLogs(sample, { ...place, index: place.index + 1 })];
  });
  return { block: at, logs };
}
