import type { Tx } from "#core/db/db.ts";
import type { Append, EventStore } from "#core/events/store.ts";
import type { ChainObserver, IndexedBlock } from "#core/indexer/observer.ts";
import { checksummed, type Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Live } from "#core/kernel/live.ts";
import type { Sender } from "#core/sender/sender.ts";
import type { RecentContents } from "./contents.ts";
import { appendsOfAttempts, settledEvents, undoneEvents } from "./destinationFacts.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import { numbered } from "./identity.ts";
import { type Lane, type Lanes, laneName, type RelayChain } from "./lane.ts";
import { type LaneEvent, laneStream, type Run } from "./laneEvents.ts";
import { type AppendedFact, appendsOfSent } from "./originFacts.ts";
import { type AttemptFact, dropOrphans, finalizeOrphans } from "./orphans.ts";
import { decodeGatewayLogs, selectorsBesides } from "./protocol/logs.ts";
import { decodeRealigned } from "./protocol/realigned.ts";
import { rowsAbove, settledRows, unfinalRows } from "./readModel.ts";
import { appendsOfRealigned, dropRealignments, type RealignedFact } from "./realignments.ts";
import type { MessageRow } from "./rows.ts";
import { runsExecuted, runsSent } from "./runs.ts";

type Deps = {
  store: EventStore;
  sender: Pick<Sender, "findByTransactions">;
  chains: Live<RelayChain>;
  lanes: Lanes;
  contents: RecentContents;
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

  /** A chain that was just removed must not be read past what nobody would record: the last step of its indexer fails. */
  function requireChain(name: string): RelayChain {
    const found = chains.get(name);
    if (found) return found;
    throw new LockstepError("conflict", `the chain ${name} was removed`, { details: { chain: name } });
  }

  /** Appends last, because that holds the place in the global order until the commit. */
  async function write(tx: Tx, appends: readonly Append[], touched: readonly Lane[]): Promise<void> {
    if (appends.length > 0) await store.append(tx, appends);
    const woken = new Map(touched.map((lane) => [laneName(lane), lane]));
    tx.afterCommit(() => {
      for (const lane of woken.values()) deps.wake(lane);
    });
  }

  return {
    addresses: (chain) => [requireChain(chain).gateway],
    // What was sent follows one by one, up to a head that `check` reads: nothing of it can be missing unnoticed.
    secondLook: selectorsBesides(["MessageSent", "LaneAppended"]),
    async included(tx, name, blocks) {
      const chain = requireChain(name);
      const { sent, attempts, realigned } = factsOf(lanes, chain, blocks);
      const origin = { name, chainId: chain.chain.chainId };
      const sentAppends = sent.length > 0 ? await appendsOfSent(tx, origin, sent, deps) : [];
      const outcomeAppends = attempts.length > 0 ? await appendsOfAttempts(tx, name, attempts) : [];
      // Written at once: what a realignment jumps over is what has no outcome by then.
      if (realigned.length > 0) {
        await write(
          tx,
          outcomeAppends.splice(0),
          attempts.map(({ lane }) => lane),
        );
        outcomeAppends.push(...(await appendsOfRealigned(tx, name, realigned)));
      }
      const touched = [...(outcomeAppends.length > 0 ? attempts : []), ...realigned].map(({ lane }) => lane);
      await write(tx, [...sentAppends, ...outcomeAppends], touched);
    },
    async reorged(tx, name, ancestor, deep) {
      requireChain(name);
      const rows = deep ? await rowsAbove(tx, name, ancestor) : await unfinalRows(tx, name, ancestor);
      await dropOrphans(tx, name, ancestor);
      await dropRealignments(tx, name, ancestor);
      const gone = rows.filter(({ progress }) => progress.origin === name);
      const undone = rows.filter(({ progress }) => progress.destination === name);
      const appends = [
        ...gone.map((row) => appendOf(row, [reorgedEvent(row, ancestor)])),
        ...undone.map((row) => appendOf(row, undoneEvents(row, ancestor))),
      ];
      await write(
        tx,
        appends,
        undone.map(({ progress }) => progress),
      );
    },
    async finalized(tx, name, height) {
      requireChain(name);
      await finalizeOrphans(tx, name, height);
      const sent = await runsSent(tx, name, height);
      const executed = await runsExecuted(tx, name, height);
      const single = await settledRows(tx, name, height);
      const appends = [
        ...sent.map((run) => finalAppend("MessagesFinalized", run, height)),
        ...executed.map((run) => finalAppend("DeliveriesFinalized", run, height)),
        ...single.map((row) => appendOf(row, settledEvents(row, height))),
      ];
      await write(tx, appends, sent);
    },
  };
}

function finalAppend(type: "MessagesFinalized" | "DeliveriesFinalized", run: Run, finalHeight: bigint): Append {
  const event: LaneEvent = { type, data: { ...run, finalHeight } };
  const stream = laneStream(run, type === "MessagesFinalized" ? "origin" : "destination");
  return { stream, expected: "any", events: [event] };
}

function reorgedEvent({ progress: { origin, destination } }: MessageRow, ancestor: bigint): MessageEvent {
  return { type: "MessageReorged", data: { origin, destination, ancestor } };
}

const appendOf = (row: MessageRow, events: MessageEvent[]): Append => ({
  stream: messageStream(row.id),
  expected: row.version,
  events,
});

/** What blocks show of messages of known lanes. */
function factsOf(lanes: Lanes, { chain, gateway }: RelayChain, blocks: readonly IndexedBlock[]) {
  const timeOf = new Map(blocks.map(({ block }) => [block.hash, block.timestamp]));
  const logs = blocks.flatMap((block) => block.logs).filter((log) => checksummed(log.address) === gateway);
  const decoded = decodeGatewayLogs(logs);
  const at = (hash: Hex) => timeOf.get(hash) ?? 0n;
  const sent = numbered(decoded.filter((fact) => fact.kind === "appended")).flatMap((fact): AppendedFact[] => {
    const lane = lanes.byChainIds(chain.chainId, fact.destinationChainId);
    return lane ? [{ ...fact, lane, at: at(fact.log.blockHash) }] : [];
  });
  const realigned = decodeRealigned(logs).flatMap((fact): RealignedFact[] => {
    const lane = lanes.byChainIds(fact.originChainId, chain.chainId);
    return lane ? [{ ...fact, lane, at: at(fact.log.blockHash) }] : [];
  });
  const attempts = decoded.flatMap((fact): AttemptFact[] => {
    if (fact.kind === "appended") return [];
    const lane = lanes.byChainIds(fact.originChainId, chain.chainId);
    return lane ? [{ ...fact, lane, at: at(fact.log.blockHash) }] : [];
  });
  return { sent, attempts, realigned };
}
