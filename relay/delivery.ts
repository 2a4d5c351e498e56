import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Log } from "#core/observe/log.ts";
import type { IntentRequest, Sender } from "#core/sender/sender.ts";
import { pruneAttestations } from "./attestationStore.ts";
import type { Authority } from "./authority.ts";
import type { RecentContents } from "./contents.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import { deliveryIntent } from "./intents.ts";
import { type LaneEnds, laneName } from "./lane.ts";
import { type LaneEvent, laneStream } from "./laneEvents.ts";
import { clearTrouble } from "./laneState.ts";
import { foldMessage } from "./message.ts";
import type { OpenMessage } from "./openMessage.ts";
import type { Message as WireMessage } from "./protocol/message.ts";

/** A delivery as it could be sent. */
export type PlannedDelivery = {
  readonly lane: LaneEnds;
  readonly generation: number;
  /** Messages that follow each other, none after the authority's nonce. */
  readonly batch: readonly OpenMessage[];
  readonly contents: ReadonlyMap<string, WireMessage>;
  readonly authority: Authority;
};

type DeliveryStart = PlannedDelivery & { readonly intent: IntentRequest };

/** Sets deliveries on their way. */
export type DeliveryWriter = {
  /** What deliveries bring of messages, by the service's ids. */
  contents(batch: readonly OpenMessage[]): Promise<Map<string, WireMessage>>;
  /** The transaction of a delivery. */
  intentOf(delivery: PlannedDelivery): IntentRequest;
  /** Writes the intent and the event of its messages in one transaction. Throws `conflict` when one has changed. */
  start(delivery: DeliveryStart): Promise<void>;
};

type Deps = {
  db: Db;
  store: EventStore;
  sender: Sender;
  log: Log;
  account: string;
  contents: RecentContents;
};

/** Attestations that no delivery needs any more are dropped once in so many deliveries. */
const pruneEvery = 50;

export function createDeliveryWriter(deps: Deps): DeliveryWriter {
  const { db, store, sender, log, account } = deps;
  let deliveries = 0;

  function intentOf({ lane, generation, batch, contents, authority }: PlannedDelivery): IntentRequest {
    const firstNonce = batch[0]?.nonce ?? 0n;
    const messages = batch.flatMap(({ id }) => contents.get(id) ?? []);
    const call = authority.encode(firstNonce, messages);
    return deliveryIntent(lane, { generation, firstNonce, messages, call }, attemptOf(batch), account);
  }

  async function start({ lane, batch, authority, intent }: DeliveryStart): Promise<void> {
    const [first, last] = [batch[0], batch.at(-1)];
    if (!first || !last) return;
    const attempt = attemptOf(batch);
    const { origin, destination } = lane;
    const started: LaneEvent = {
      type: "DeliveriesStarted",
      data: {
        ...{ origin, destination, firstNonce: first.nonce, lastNonce: last.nonce },
        ...{ checkpointNonce: authority.nonce, epoch: authority.epoch, intentId: intent.id, attempt },
      },
    };
    await db.tx(async (tx) => {
      await authority.keep(tx);
      await clearTrouble(tx, lane);
      await sender.submit(tx, [intent]);
      await store.append(tx, [{ stream: laneStream(lane, "delivery"), expected: "any", events: [started] }]);
    });
    log.debug({ lane: laneName(lane), first: first.nonce, last: last.nonce, attempt }, "delivery started");
    deliveries += 1;
    if (deliveries % pruneEvery === 0) await pruneAttestations(db, lane, first.nonce);
  }

  return {
    intentOf,
    start,
    async contents(batch) {
      const recent = (row: OpenMessage) => row.progress.sent && deps.contents.get(row.progress.sent.onchainId);
      const missing = batch.filter((row) => !recent(row)).map(({ id }) => messageStream(id));
      const streams = missing.length > 0 ? await store.loadMany<MessageEvent>(db, missing) : new Map();
      return new Map(
        batch.map((row) => {
          const content = recent(row) ?? foldMessage(streams.get(messageStream(row.id)) ?? [])?.content;
          if (!content) throw new Error(`message ${row.id} is in a lane but has no content`);
          return [row.id, content];
        }),
      );
    },
  };
}

/** Higher than that of any of the messages, so that no intent is taken for an earlier one. */
const attemptOf = (batch: readonly OpenMessage[]): number =>
  batch.reduce((most, { progress }) => Math.max(most, progress.delivery?.attempt ?? 0), 0) + 1;
