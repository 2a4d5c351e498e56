import type { Db } from "#core/db/db.ts";
import type { Append, EventStore } from "#core/events/store.ts";
import type { Log } from "#core/observe/log.ts";
import type { Sender } from "#core/sender/sender.ts";
import { pruneAttestations } from "./attestationStore.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import { deliveryIntent } from "./intents.ts";
import { type LaneEnds, laneName } from "./lane.ts";
import { clearTrouble } from "./laneState.ts";
import { foldMessage } from "./message.ts";
import type { Message as WireMessage } from "./protocol/message.ts";
import type { QuorumAt } from "./quorum.ts";
import type { MessageRow } from "./rows.ts";
import type { ValidatorBook } from "./validators.ts";

/** A message without an outcome, together with its place. */
export type OpenMessage = MessageRow & {
  readonly nonce: bigint;
  readonly gasLimit: bigint;
  readonly payloadBytes: number;
};

export function withPlace(row: MessageRow): OpenMessage[] {
  const { sent } = row.progress;
  return sent ? [{ ...row, nonce: sent.nonce, gasLimit: sent.gasLimit, payloadBytes: sent.payloadBytes }] : [];
}

type Deps = { db: Db; store: EventStore; sender: Sender; book: ValidatorBook; log: Log; account: string };

/** Sets a delivery on its way: its intent and the events of its messages in one transaction. */
export function createDeliveryWriter({ db, store, sender, book, log, account }: Deps) {
  async function start(
    lane: LaneEnds,
    generation: number,
    batch: readonly OpenMessage[],
    quorum: QuorumAt,
  ): Promise<void> {
    const [first, last] = [batch[0], batch.at(-1)];
    if (!first || !last?.progress.sent) return;
    const { accumulator } = last.progress.sent;
    const checkpoint = {
      ...{ originChainId: lane.from.chain.chainId, originGateway: lane.from.gateway, generation },
      ...{ nonce: quorum.nonce, accumulator, epoch: book.epoch },
    };
    const messages = await contents(batch);
    const set = book.set;
    const delivery = { checkpoint, set, ...quorum, firstNonce: first.nonce, messages, laterIds: [] };
    const attempt = (first.progress.delivery?.attempt ?? 0) + 1;
    const intent = deliveryIntent(lane, delivery, attempt, account);
    const appends = batch.map((row): Append => {
      const started = { intentId: intent.id, attempt, firstNonce: first.nonce, lastNonce: last.nonce };
      return { stream: messageStream(row.id), expected: row.version, events: startEvents(lane, row, quorum, started) };
    });
    await db.tx(async (tx) => {
      await clearTrouble(tx, lane);
      await sender.submit(tx, [intent]);
      await store.append(tx, appends);
    });
    log.debug({ lane: laneName(lane), first: first.nonce, last: last.nonce, attempt }, "delivery started");
    await pruneAttestations(db, lane, first.nonce);
  }

  function startEvents(
    { origin, destination }: LaneEnds,
    { progress }: OpenMessage,
    { nonce: checkpointNonce }: QuorumAt,
    started: { intentId: string; attempt: number; firstNonce: bigint; lastNonce: bigint },
  ): MessageEvent[] {
    const lane = { origin, destination };
    const attested: MessageEvent = {
      type: "MessageAttested",
      data: { ...lane, checkpointNonce, epoch: book.epoch },
    };
    return [...(progress.attested ? [] : [attested]), { type: "DeliveryStarted", data: { ...lane, ...started } }];
  }

  async function contents(batch: readonly OpenMessage[]): Promise<WireMessage[]> {
    const streams = await store.loadMany<MessageEvent>(
      db,
      batch.map(({ id }) => messageStream(id)),
    );
    return batch.map(({ id }) => {
      const content = foldMessage(streams.get(messageStream(id)) ?? [])?.content;
      if (!content) throw new Error(`message ${id} is in a lane but has no content`);
      return content;
    });
  }

  return { start };
}
