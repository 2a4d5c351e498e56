import { getAddress } from "viem";
import type { Tx } from "#core/db/db.ts";
import type { Append, EventStore } from "#core/events/store.ts";
import type { ChainObserver, IndexedBlock } from "#core/indexer/observer.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Sender } from "#core/sender/sender.ts";
import { appendsOfAttempts, settledEvents, undoneEvents } from "./destinationFacts.ts";
import { type MessageEvent, messageStream, type RelayEvent } from "./events.ts";
import { numbered } from "./identity.ts";
import { type Lane, type Lanes, laneName, type RelayChain } from "./lane.ts";
import { laneVersions } from "./laneState.ts";
import { type AppendedFact, appendsOfSent } from "./originFacts.ts";
import { type AttemptFact, dropOrphans, finalizeOrphans } from "./orphans.ts";
import { decodeGatewayLogs } from "./protocol/logs.ts";
import { unfinalOutcomes, unfinalSent } from "./readModel.ts";
import type { MessageRow } from "./rows.ts";

type Deps = {
  store: EventStore;
  sender: Pick<Sender, "findByTransactions">;
  chains: Readonly<Record<string, RelayChain>>;
  lanes: Lanes;
  /** Addresses of the managed accounts. */
  managed: ReadonlySet<Hex>;
  /** Called after the commit of anything that lets a lane go on. */
  wake(lane: Lane): void;
};

/**
 * Turns what the gateways emit into events of messages. Each step reads and writes in bulk, so a burst of messages
 * costs a few statements; versions come from the read model, so no stream is read.
 */
export function createRelayObserver(deps: Deps): ChainObserver {
  const { store, chains, lanes } = deps;

  /** Appends last, because that holds the place in the global order until the commit. */
  async function write(tx: Tx, appends: readonly Append[], news: readonly LaneNews[]): Promise<void> {
    const versions = await laneVersions(
      tx,
      news.map(({ stream }) => stream),
    );
    const laneAppends = news.map(({ stream, event }) => ({
      stream,
      expected: versions.get(stream) ?? 0,
      events: [event],
    }));
    if (appends.length + laneAppends.length > 0) await store.append(tx, [...appends, ...laneAppends]);
    tx.afterCommit(() => {
      for (const { event } of news) deps.wake(event.data);
    });
  }

  return {
    addresses: (chain) => (chains[chain] ? [chains[chain].gateway] : []),
    async included(tx, name, blocks) {
      const chain = chains[name];
      if (!chain) return;
      const { sent, attempts } = factsOf(lanes, chain, blocks);
      const origin = { name, chainId: chain.chain.chainId };
      const sentAppends = sent.length > 0 ? await appendsOfSent(tx, origin, sent, deps) : [];
      const { appends, touched } = attempts.length > 0 ? await appendsOfAttempts(tx, name, attempts) : nothing;
      const height = blocks.at(-1)?.block.number ?? 0n;
      const news = processed(touched, height, false);
      await write(tx, [...sentAppends, ...appends], news);
    },
    async reorged(tx, name, ancestor) {
      if (!chains[name]) return;
      const gone = await unfinalSent(tx, name, ">", ancestor);
      const undone = await unfinalOutcomes(tx, name, ">", ancestor);
      await dropOrphans(tx, name, ancestor);
      const appends = [
        ...gone.map((row) => appendOf(row, [messageEvent("MessageReorged", row, { ancestor })])),
        ...undone.map((row) => appendOf(row, undoneEvents(row, ancestor))),
      ];
      await write(tx, appends, processed(undone, ancestor, true));
    },
    async finalized(tx, name, height) {
      if (!chains[name]) return;
      const final = await unfinalSent(tx, name, "<=", height);
      const settled = await unfinalOutcomes(tx, name, "<=", height);
      await finalizeOrphans(tx, name, height);
      const appends = [
        ...final.map((row) => appendOf(row, [messageEvent("MessageFinalized", row, { finalHeight: height })])),
        ...settled.map((row) => appendOf(row, settledEvents(row, height))),
      ];
      await write(tx, appends, finalizedNews(final, height));
    },
  };
}

const nothing = { appends: [], touched: [] };

/** An event of a lane as a whole, in a stream that only one chain's indexer writes. */
type LaneNews = {
  readonly stream: string;
  readonly event: Extract<RelayEvent, { type: "LaneFinalized" | "LaneProcessed" }>;
};

function finalizedNews(rows: readonly MessageRow[], finalHeight: bigint): LaneNews[] {
  return byLane(rows).map(({ origin, destination, nonce }) => ({
    stream: `lane-out-${laneName({ origin, destination })}`,
    event: { type: "LaneFinalized", data: { origin, destination, nonce, finalHeight } },
  }));
}

function processed(rows: readonly MessageRow[], height: bigint, reorged: boolean): LaneNews[] {
  return byLane(rows).map(({ origin, destination, nonce }) => ({
    stream: `lane-in-${laneName({ origin, destination })}`,
    event: { type: "LaneProcessed", data: { origin, destination, nonce, height, reorged } },
  }));
}

/** The lanes of messages with the highest nonce of each. */
function byLane(rows: readonly MessageRow[]): (Lane & { nonce: bigint })[] {
  const highest = new Map<string, Lane & { nonce: bigint }>();
  for (const { progress } of rows) {
    const { origin, destination } = progress;
    const nonce = progress.sent?.nonce ?? 0n;
    const known = highest.get(laneName(progress));
    if (!known || nonce > known.nonce) highest.set(laneName(progress), { origin, destination, nonce });
  }
  return [...highest.values()];
}

const appendOf = (row: MessageRow, events: MessageEvent[]): Append => ({
  stream: messageStream(row.id),
  expected: row.version,
  events,
});

function messageEvent(
  type: "MessageReorged" | "MessageFinalized",
  { progress: { origin, destination } }: MessageRow,
  rest: { ancestor: bigint } | { finalHeight: bigint },
): MessageEvent {
  return { type, data: { origin, destination, ...rest } } as MessageEvent;
}

/** What blocks show of messages of known lanes. */
function factsOf(lanes: Lanes, { chain, gateway }: RelayChain, blocks: readonly IndexedBlock[]) {
  const timeOf = new Map(blocks.map(({ block }) => [block.hash, block.timestamp]));
  const logs = blocks.flatMap((block) => block.logs).filter((log) => getAddress(log.address) === gateway);
  const decoded = decodeGatewayLogs(logs);
  const at = (hash: Hex) => timeOf.get(hash) ?? 0n;
  const sent = numbered(decoded.filter((fact) => fact.kind === "appended")).flatMap((fact): AppendedFact[] => {
    const lane = lanes.byChainIds(chain.chainId, fact.destinationChainId);
    return lane ? [{ ...fact, lane, at: at(fact.log.blockHash) }] : [];
  });
  const attempts = decoded.flatMap((fact): AttemptFact[] => {
    if (fact.kind === "appended" || !lanes.byChainIds(fact.originChainId, chain.chainId)) return [];
    return [{ ...fact, at: at(fact.log.blockHash) }];
  });
  return { sent, attempts };
}
