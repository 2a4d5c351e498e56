import { decodeEventLog, toEventSelector } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { ChainLog } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { decodeInteroperable } from "./interoperable.ts";
import { hashAttributes, type Message } from "./message.ts";

/** A message that its origin has appended to a lane. */
export type Appended = {
  readonly kind: "appended";
  readonly destinationChainId: number;
  readonly nonce: bigint;
  readonly id: Hex;
  readonly accumulator: Hex;
  readonly message: Message;
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

type Name = "MessageSent" | "LaneAppended" | "MessageExecuted" | "MessageFailed";
type GatewayEvent = Extract<(typeof gatewayAbi)[number], { type: "event"; name: Name }>;

const names: readonly string[] = ["MessageSent", "LaneAppended", "MessageExecuted", "MessageFailed"] satisfies Name[];
const isOurs = (item: (typeof gatewayAbi)[number]): item is GatewayEvent =>
  item.type === "event" && names.includes(item.name);
/** The library hashes every event of an ABI at every log, so it is given just the right one. */
const bySelector = new Map(gatewayAbi.filter(isOurs).map((item) => [toEventSelector(item), item]));

/**
 * What logs of one gateway, in order and complete for their transactions, say about messages; others are skipped.
 * `MessageSent` has what a message contains and `LaneAppended`, the very next log, where it stands in its lane: the two
 * become one answer. Throws `chain-answer-invalid` when one is there without the other.
 */
export function decodeGatewayLogs(logs: readonly ChainLog[]): GatewayLog[] {
  const decoded: GatewayLog[] = [];
  let sent: { log: ChainLog; content: Content } | undefined;
  for (const log of logs) {
    const event = decode(log);
    if (sent && !follows(sent.log, log, event?.eventName)) throw unpaired(sent.log);
    switch (event?.eventName) {
      case "MessageSent": {
        const { sender, recipient, payload, attributes } = event.args;
        const addresses = {
          sender: decodeInteroperable(sender).address,
          recipient: decodeInteroperable(recipient).address,
        };
        sent = { log, content: { ...addresses, payload, attributesHash: hashAttributes(attributes) } };
        continue;
      }
      case "LaneAppended": {
        if (!sent) throw unpaired(log);
        const { destination, nonce, id, accumulator, gasLimit } = event.args;
        const place = { destinationChainId: Number(destination), nonce, id, accumulator, log };
        decoded.push({ kind: "appended", ...place, message: { ...sent.content, gasLimit } });
        sent = undefined;
        continue;
      }
      case "MessageExecuted":
      case "MessageFailed": {
        const { origin, nonce, id } = event.args;
        const attempt = { originChainId: Number(origin), nonce, id, log };
        decoded.push(
          event.eventName === "MessageFailed"
            ? { kind: "failed", ...attempt, reason: event.args.reason }
            : { kind: "executed", ...attempt },
        );
      }
    }
  }
  if (sent) throw unpaired(sent.log);
  return decoded;
}

function decode({ topics: [selector, ...args], data }: ChainLog) {
  const item = selector && bySelector.get(selector);
  return item && decodeEventLog({ abi: [item], topics: [selector, ...args], data });
}

const follows = (before: ChainLog, log: ChainLog, name: string | undefined): boolean =>
  name === "LaneAppended" && log.transactionHash === before.transactionHash && log.logIndex === before.logIndex + 1;

function unpaired(log: ChainLog): LockstepError {
  return new LockstepError("chain-answer-invalid", "a gateway's MessageSent and LaneAppended come only as a pair", {
    details: { transaction: log.transactionHash, log_index: log.logIndex },
  });
}
