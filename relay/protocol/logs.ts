import { decodeAbiParameters, getAbiItem, parseAbiParameters, toEventSelector } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { ChainLog } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { decodeInteroperable } from "./interoperable.ts";
import { hashAttributes, type Message } from "./message.ts";
import { bytesAt, bytesListAt, wordAt } from "./words.ts";

/** A message that its origin has appended to a lane. */
export type Appended = {
  readonly kind: "appended";
  readonly destinationChainId: number;
  readonly nonce: bigint;
  readonly id: Hex;
  readonly accumulator: Hex;
  readonly message: Message;
  /** Wei that were paid for it; undefined where the lane had no price. */
  readonly fee?: bigint;
  /** The log of `LaneAppended`. */
  readonly log: ChainLog;
};

/** What became of a message's attempt at its destination. */
export type Attempted = {
  readonly originChainId: number;
  readonly nonce: bigint;
  readonly id: Hex;
  readonly log: ChainLog;
};

export type GatewayLog =
  | Appended
  | ({ readonly kind: "executed" } & Attempted)
  /** `reason` is an error: the recipient's, cut off after 256 bytes, or the gateway's own. */
  | ({ readonly kind: "failed"; readonly reason: Hex } & Attempted);

type Content = { readonly sender: Hex; readonly recipient: Hex; readonly payload: Hex; readonly attributesHash: Hex };

type Name = "FeePaid" | "MessageSent" | "LaneAppended" | "MessageExecuted" | "MessageFailed";

const names: Name[] = ["FeePaid", "MessageSent", "LaneAppended", "MessageExecuted", "MessageFailed"];
/** Selectors of all events of a gateway but these. */
export const selectorsBesides = (names: readonly Name[]): Hex[] =>
  gatewayAbi.flatMap((item) =>
    item.type === "event" && !names.some((name) => name === item.name) ? [toEventSelector(item)] : [],
  );

const selectorOf = (name: Name) => toEventSelector(getAbiItem({ abi: gatewayAbi, name }));
const nameOf = new Map(names.map((name) => [selectorOf(name), name]));

const failedParameters = parseAbiParameters("uint64, bytes");

/**
 * What logs of one gateway, in order and complete for their transactions, say about messages; others are skipped.
 * `MessageSent` has what a message contains and `LaneAppended`, the very next log, where it stands in its lane: the two
 * become one answer. Throws `chain-answer-invalid` when one is there without the other.
 */
export function decodeGatewayLogs(logs: readonly ChainLog[]): GatewayLog[] {
  const decoded: GatewayLog[] = [];
  let sent: { log: ChainLog; content: Content; fee?: bigint } | undefined;
  let paid: { log: ChainLog; fee: bigint } | undefined;
  /** An application gives all its messages the same attributes. */
  const attributesHashes = new Map<string, Hex>();
  for (const log of logs) {
    const name = nameOf.get(log.topics[0] ?? "0x");
    if (sent && !follows(sent.log, log, name)) throw unpaired(sent.log);
    switch (name) {
      case "FeePaid":
        paid = { log, fee: BigInt(wordAt(log.data, 0)) };
        continue;
      case "MessageSent":
        sent = {
          ...{ log, content: contentOf(log, attributesHashes) },
          ...(paid && isNext(paid.log, log) && { fee: paid.fee }),
        };
        continue;
      case "LaneAppended":
        if (!sent) throw unpaired(log);
        decoded.push({ ...appendedOf(log, sent.content), ...(sent.fee !== undefined && { fee: sent.fee }) });
        sent = undefined;
        continue;
      case "MessageExecuted":
        decoded.push({ kind: "executed", ...attemptOf(log, BigInt(wordAt(log.data, 0))) });
        continue;
      case "MessageFailed": {
        const [nonce, reason] = decodeAbiParameters(failedParameters, log.data);
        decoded.push({ kind: "failed", ...attemptOf(log, nonce), reason });
      }
    }
  }
  if (sent) throw unpaired(sent.log);
  return decoded;
}

// By hand where everything has a fixed place: the library hashes the signature of the event at every log.

function contentOf({ data }: ChainLog, attributesHashes: Map<string, Hex>): Content {
  const attributes = bytesListAt(data, 4);
  const spelled = attributes.join();
  const attributesHash = attributesHashes.get(spelled) ?? hashAttributes(attributes);
  attributesHashes.set(spelled, attributesHash);
  return {
    sender: decodeInteroperable(bytesAt(data, 0)).address,
    recipient: decodeInteroperable(bytesAt(data, 1)).address,
    payload: bytesAt(data, 2),
    attributesHash,
  };
}

function appendedOf(log: ChainLog, content: Content): Appended {
  const { topics, data } = log;
  return {
    kind: "appended",
    destinationChainId: Number(BigInt(topicOf(topics, 1))),
    nonce: BigInt(topicOf(topics, 2)),
    id: topicOf(topics, 3),
    accumulator: wordAt(data, 0),
    message: { ...content, gasLimit: BigInt(wordAt(data, 1)) },
    log,
  };
}

const attemptOf = (log: ChainLog, nonce: bigint): Attempted => ({
  originChainId: Number(BigInt(topicOf(log.topics, 2))),
  nonce,
  id: topicOf(log.topics, 1),
  log,
});

function topicOf(topics: readonly Hex[], place: number): Hex {
  const topic = topics[place];
  if (topic) return topic;
  throw new RangeError("an event of the gateway has too few topics");
}

const follows = (before: ChainLog, log: ChainLog, name: Name | undefined): boolean =>
  name === "LaneAppended" && isNext(before, log);

const isNext = (before: ChainLog, log: ChainLog): boolean =>
  log.transactionHash === before.transactionHash && log.logIndex === before.logIndex + 1;

function unpaired(log: ChainLog): LockstepError {
  return new LockstepError("chain-answer-invalid", "a gateway's MessageSent and LaneAppended come only as a pair", {
    details: { transaction: log.transactionHash, log_index: log.logIndex },
  });
}
