import type { Tx } from "#core/db/db.ts";
import type { Append } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Sender } from "#core/sender/sender.ts";
import { archivedMessages } from "./archive.ts";
import type { RecentContents } from "./contents.ts";
import { outcomeEvents } from "./destinationFacts.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import { furtherMessageId, identify, type Numbered } from "./identity.ts";
import { type LaneEnds, laneName } from "./lane.ts";
import { type LaneHead, seenHeads } from "./laneState.ts";
import { adoptOrphans, lockOrphans } from "./orphans.ts";
import { evolveProgress, type Progress } from "./progress.ts";
import { messageId, nextAccumulator } from "./protocol/message.ts";
import { rowsByIds, rowsOfNonces } from "./readModel.ts";
import { skippedEvents } from "./realignments.ts";
import type { MessageRow } from "./rows.ts";

/** A message that its origin has shown, with the lane it is in and its block's time (Unix seconds). */
export type AppendedFact = Numbered & { readonly lane: LaneEnds; readonly at: bigint };

type Deps = {
  sender: Pick<Sender, "findByTransactions">;
  contents: Pick<RecentContents, "remember">;
  managed: ReadonlySet<Hex>;
};

/**
 * The events of messages that an origin has shown. Throws unless they continue what was seen before, so that no message
 * can be missed in silence: `logs-missing` when nonces are not consecutive, `lane-broken` when an id does not match its
 * content or accumulators do not chain.
 */
export async function appendsOfSent(
  tx: Tx,
  origin: { name: string; chainId: number },
  facts: readonly AppendedFact[],
  deps: Deps,
): Promise<Append[]> {
  const heads = await seenHeads(tx, origin.name, [...new Set(facts.map(({ lane }) => lane.destination))]);
  const { fresh, again } = await continued(tx, facts, heads);
  await assertKnown(tx, again);
  for (const { id, message } of fresh) deps.contents.remember(id, message);
  const ids = await identify(tx, fresh, { ...deps, originChainId: origin.chainId });
  const placed = await placeInStreams(tx, origin.chainId, fresh, ids);
  await lockOrphans(tx, "shared");
  const orphans = await adoptOrphans(
    tx,
    fresh.map(({ id }) => id),
  );
  const skipped = await skippedEvents(tx, origin.name, fresh);
  return placed.map(({ fact, id, row }) => {
    const outcomes = (orphans.get(fact.id) ?? []).flatMap((seen) => outcomeEvents(fact.lane, seen));
    const { failed, executed } = outcomes.reduce<Progress | undefined>(evolveProgress, row?.progress) ?? {};
    const skip = skipped.get(fact.id);
    const applies = skip && !executed && (!failed || failed.block < skip.data.blockNumber);
    const events: MessageEvent[] = [sentEvent(fact), ...outcomes, ...(applies ? [skip] : [])];
    return { stream: messageStream(id), expected: row?.version ?? 0, events };
  });
}

type Placed = { readonly fact: AppendedFact; readonly id: string; readonly row: MessageRow | undefined };

/**
 * The stream of each message: the usual one of its transaction, unless that has another place in a lane already, or was
 * attempted at the destination under another id. That stays true of it, and this is one more message.
 */
async function placeInStreams(
  tx: Tx,
  originChainId: number,
  facts: readonly AppendedFact[],
  ids: ReadonlyMap<Hex, string>,
): Promise<Placed[]> {
  const usual = await rowsByIds(tx, [...ids.values()]);
  const taken = new Set<string>();
  const chosen = facts.map((fact) => {
    const id = ids.get(fact.id) ?? "";
    const { sent, outcomeId = fact.id } = usual.get(id)?.progress ?? {};
    if (taken.has(id) || sent !== undefined || outcomeId !== fact.id) {
      return { fact, id: furtherMessageId(originChainId, fact), further: true };
    }
    taken.add(id);
    return { fact, id, further: false };
  });
  const further = await rowsByIds(
    tx,
    chosen.filter((each) => each.further).map(({ id }) => id),
  );
  return chosen.map(({ fact, id }) => ({ fact, id, row: usual.get(id) ?? further.get(id) }));
}

/** Splits facts into those that extend their lanes and those at or below the heads. */
async function continued(
  tx: Tx,
  facts: readonly AppendedFact[],
  heads: Map<string, LaneHead>,
): Promise<{ fresh: AppendedFact[]; again: AppendedFact[] }> {
  const fresh: AppendedFact[] = [];
  const again: AppendedFact[] = [];
  for (const fact of facts) {
    const head = heads.get(fact.lane.destination);
    if (head && fact.nonce <= head.nonce) {
      again.push(fact);
      continue;
    }
    // Its first messages are hidden, or from before the block where reading began: comparing heads finds out which, and
    // a chain whose swaps have deadlines is followed meanwhile.
    if (head?.nonce === 0n && fact.nonce > 1n) continue;
    if (!head || fact.nonce !== head.nonce + 1n) {
      const before = fresh.findLast(({ lane }) => lane.destination === fact.lane.destination);
      throw await gap(tx, fact, head?.nonce ?? 0n, before);
    }
    if (messageId(routeOf(fact.lane), fact.nonce, fact.message) !== fact.id) {
      throw broken(fact, "its id is not the hash of its content");
    }
    if (nextAccumulator(head.accumulator, fact.id) !== fact.accumulator) {
      throw broken(fact, "its accumulator does not continue the lane");
    }
    heads.set(fact.lane.destination, { nonce: fact.nonce, accumulator: fact.accumulator });
    fresh.push(fact);
  }
  return { fresh, again };
}

/** Blocks may be shown twice; what they show at a nonce may not change without a reorganisation. */
async function assertKnown(tx: Tx, again: readonly AppendedFact[]): Promise<void> {
  for (const [lane, facts] of Map.groupBy(again, (fact) => fact.lane)) {
    const rows = await rowsOfNonces(
      tx,
      lane,
      facts.map(({ nonce }) => nonce),
    );
    const known = new Map(rows.map(({ progress }) => [progress.sent?.nonce, progress.sent?.onchainId]));
    const others = facts.filter(({ nonce, id }) => known.get(nonce) !== id);
    const archived = await archivedMessages(
      tx,
      others.map(({ id }) => id),
    );
    const changed = others.find(({ id }) => !archived.has(id));
    if (changed) throw broken(changed, "another message was seen at this nonce before");
  }
}

/** A message before this one was not shown: in all likelihood the node left out logs, which can be read again. */
async function gap(tx: Tx, { lane, nonce, log }: AppendedFact, last: bigint, before?: AppendedFact) {
  const after = before?.log.blockNumber ?? (await rowsOfNonces(tx, lane, [last]))[0]?.progress.sent?.block;
  return new LockstepError("logs-missing", `${laneName(lane)}: expected message ${last + 1n}, found ${nonce}`, {
    details: { lane: laneName(lane), nonce, after, transaction: log.transactionHash },
  });
}

function broken({ lane, nonce, log }: AppendedFact, why: string): LockstepError {
  return new LockstepError("lane-broken", `${laneName(lane)}, message ${nonce}: ${why}`, {
    details: { lane: laneName(lane), nonce, transaction: log.transactionHash },
  });
}

const routeOf = ({ from, to }: LaneEnds) => ({
  originChainId: from.chain.chainId,
  originGateway: from.gateway,
  destinationChainId: to.chain.chainId,
  destinationGateway: to.gateway,
});

function sentEvent({ lane, nonce, id, accumulator, message, fee, log, at }: AppendedFact): MessageEvent {
  const { origin, destination } = lane;
  const { transactionHash, blockNumber, blockHash } = log;
  const place = { origin, destination, nonce, onchainId: id, accumulator, ...(fee !== undefined && { fee }) };
  return { type: "MessageSent", data: { ...place, ...message, transactionHash, blockNumber, blockHash, at } };
}
