import { zeroAddress } from "viem";
import type { KeyStore } from "#core/chain/keys.ts";
import type { Db, Tx } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import { type Caller, requireAccount } from "#core/http/access.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type ErrorCode, isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import type { Sender } from "#core/sender/sender.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import { sendGas } from "./gas.ts";
import { createGatewayReader } from "./gateway.ts";
import { sendIntent } from "./intents.ts";
import { type LaneEnds, type Lanes, requireOpenEnds } from "./lane.ts";
import type { MessageRequest } from "./schemas.ts";

type Deps = {
  db: Db;
  store: EventStore;
  sender: Sender;
  keyStore: KeyStore;
  lanes: Lanes;
  /** Throws `chain-unknown` or `chain-paused`, and keeps the chains from being removed until the transaction ends. */
  admit?(tx: Tx, chains: readonly string[]): Promise<void>;
  /** Managed account that sends when the request names none. */
  defaultAccount: string;
};

export type MessageRequester = {
  /** Writes the message under the id. */
  request(body: MessageRequest, id: string, caller?: Caller): Promise<void>;
  /** Whether there is a message with this id. */
  exists(id: string): Promise<boolean>;
};

/**
 * Checks a request for a message against configuration and chains, and writes it with the intent that sends it. Nothing
 * is written when it is refused, also where the caller may not act for the account; every refusal names the field.
 */
export function createMessageRequester(deps: Deps): MessageRequester {
  const { db, store, sender, lanes } = deps;

  function senderOf(account: string): Hex {
    try {
      return deps.keyStore.address(account);
    } catch (error) {
      if (!isLockstepError(error, "account-unknown")) throw error;
      const known = deps.keyStore.names();
      throw refused(
        "account-unknown",
        "account",
        `there is no managed account "${account}"; there are ${known.join(", ")}`,
      );
    }
  }

  return {
    exists: async (id) => (await store.load(db, messageStream(id))).length > 0,
    async request(body, id, caller) {
      const account = body.account ?? deps.defaultAccount;
      requireAccount(caller, account, "account");
      if (body.origin === body.destination) {
        throw refused("request-invalid", "destination", "destination: a message goes to another chain");
      }
      const lane = lanes.get(body);
      requireOpenEnds(lane);
      const from = senderOf(account);
      await Promise.all([assertWithinCaps(lane, body), assertFunded(lane, from, body)]);
      const intent = sendIntent(lane, { id, ...body }, account);
      const { origin, destination, recipient, payload, gasLimit } = body;
      const submitted: MessageEvent = {
        type: "MessageSubmitted",
        data: {
          ...{ origin, destination, account, sender: from, recipient, payload, intentId: intent.id },
          ...(gasLimit !== undefined && { gasLimit }),
        },
      };
      await db.tx(async (tx) => {
        await deps.admit?.(tx, [origin, destination]);
        await sender.submit(tx, [intent]);
        await store.append(tx, [{ stream: messageStream(id), expected: 0, events: [submitted] }]);
      });
    },
  };
}

/** Both ends have caps: the origin refuses what is above its own, the destination would record it as failed. */
async function assertWithinCaps(lane: LaneEnds, { payload, gasLimit }: MessageRequest): Promise<void> {
  const [origin, destination] = await Promise.all([
    createGatewayReader(lane.from).laneCaps(lane.to.chain.chainId),
    createGatewayReader(lane.to).laneCaps(lane.from.chain.chainId),
  ]);
  if (origin.gateway === zeroAddress || destination.gateway === zeroAddress) {
    throw refused("lane-unknown", "destination", "the gateways of the two chains do not know each other");
  }
  const highest = BigInt(Math.min(origin.maxGasLimit, destination.maxGasLimit));
  if (gasLimit === 0n) throw refused("request-invalid", "gasLimit", "gasLimit: with no gas nothing can be executed");
  if (gasLimit !== undefined && gasLimit > highest) {
    throw refused("gas-limit-too-high", "gasLimit", `gasLimit: expected 1 to ${highest}, the lane's cap`, { highest });
  }
  const longest = Math.min(origin.maxPayload, destination.maxPayload);
  const length = (payload.length - 2) / 2;
  if (length > longest) {
    const message = `payload: ${length} bytes, and the lane carries at most ${longest}`;
    throw refused("payload-too-long", "payload", message, { length, longest });
  }
}

async function assertFunded({ from: { chain }, origin }: LaneEnds, sender: Hex, body: MessageRequest): Promise<void> {
  const [{ balance: held }, { maxFeePerGas }] = await Promise.all([chain.account(sender), chain.fees()]);
  const needed = sendGas((body.payload.length - 2) / 2) * maxFeePerGas;
  if (held >= needed) return;
  const message = `${sender} holds ${held} on ${origin} and needs ${needed} for the transaction`;
  throw refused("balance-insufficient", "account", message, { account: sender, held, needed });
}

function refused(
  code: ErrorCode,
  field: string,
  message: string,
  details: Record<string, string | number | bigint> = {},
): LockstepError {
  return new LockstepError(code, message, { details: { field, ...details } });
}
