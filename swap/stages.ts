import { type EndedStage, instant, type Opening, transactionStages } from "#core/events/stages.ts";
import type { StoredEvent } from "#core/events/store.ts";
import { rootKey, type SpanAttributes } from "#core/observe/tracing.ts";
import { isBatchIntent } from "./batches.ts";
import type { LegName, StepName, SwapEvent } from "./events.ts";
import { hasEnded } from "./status.ts";
import { evolve, type Swap } from "./swap.ts";

type Event = StoredEvent<SwapEvent>;
type EventNamed<T extends SwapEvent["type"]> = Extract<Event, { type: T }>;

/** What is known of a swap while its history is gone through. */
type Way = {
  readonly tracking: string;
  /** What its stages are counted under: its two chains. */
  readonly route: string;
  /** Steps that the service has set out to do, and of which nothing is known yet. */
  readonly open: Map<StepName, Opening & { readonly attempt: number }>;
  readonly openings: Opening[];
  /** By leg, when the chain showed the last thing that has to become final. */
  readonly seenAt: Map<LegName, number>;
  readonly stages: EndedStage[];
};

/**
 * The way of a swap from its request to the last final receipt, as its history tells it. `intents` are the events of the
 * transactions that it names, by their ids.
 */
export function swapStages(
  history: readonly Event[],
  intents: ReadonlyMap<string, readonly StoredEvent[]>,
): EndedStage[] {
  const [first] = history;
  if (first?.type !== "SwapRequested") return [];
  const tracking = first.stream;
  const { source, target } = first.data;
  const route = `${source.chain}→${target.chain}`;
  const way: Way = { tracking, route, open: new Map(), openings: [], seenAt: new Map(), stages: [] };
  const facts = {
    "lockstep.swap.id": tracking.slice("swap-".length),
    "lockstep.source": source.chain,
    "lockstep.target": target.chain,
  };
  way.stages.push({ ...instant(tracking, "swap", first, facts), key: rootKey });
  for (const event of history) addStages(way, event);
  const timed = [...wholeOf(history, tracking), ...transactionStages(tracking, way.openings, intents)];
  return [...way.stages, ...timed.map((stage) => ({ ...stage, route }))];
}

function addStages(way: Way, event: Event): void {
  switch (event.type) {
    case "StepStarted":
      open(way, event);
      break;
    case "StepFailed":
      close(way, event.data.step, event, {}, event.data.code);
      break;
    case "LegDetected":
      addSeen(way, event, [`approve-${event.data.leg}`, `lock-${event.data.leg}`]);
      break;
    case "LegClaimed":
      addSeen(way, event, [`claim-${event.data.leg}`]);
      break;
    case "LegRefunded":
      addSeen(way, event, [`refund-${event.data.leg}`, `refund-early-${event.data.leg}`]);
      break;
    case "LegLocked":
    case "LegClaimFinalized":
    case "LegRefundFinalized":
      addFinality(way, event);
      break;
    default:
      addNote(way, event);
  }
}

function open(way: Way, event: EventNamed<"StepStarted">): void {
  const { step, attempt, intentId } = event.data;
  // That a lock is begun shows that the approval before it has had its effect.
  if (step === "lock-source" || step === "lock-target") {
    const approval = `approve-${step === "lock-source" ? "source" : "target"}` as const;
    if (way.open.has(approval)) close(way, approval, event, {});
  }
  const links = isBatchIntent(intentId) ? [intentId] : [];
  const opening = { key: `${step}-${event.position}`, at: event.at.getTime(), intentId, links, attempt };
  way.openings.push(opening);
  way.open.set(step, opening);
}

/** What was not begun here was done by somebody else. */
function close(way: Way, step: StepName, event: Event, facts: SpanAttributes, error?: string): void {
  const opened = way.open.get(step);
  way.open.delete(step);
  const by = opened === undefined ? { "lockstep.by": "others" } : { "lockstep.attempt": opened.attempt };
  way.stages.push({
    ...instant(way.tracking, `swap.${step}`, event, { ...facts, ...by }),
    route: way.route,
    ...(opened && { key: opened.key, start: opened.at, links: opened.links }),
    ...(error !== undefined && { error }),
  });
}

type SeenEvent = EventNamed<"LegDetected" | "LegClaimed" | "LegRefunded">;

/** The chain shows what one of these steps was for: those that were begun, or the first where none was. */
function addSeen(way: Way, event: SeenEvent, steps: readonly StepName[]): void {
  const { leg, transactionHash, blockNumber } = event.data;
  const facts = { "lockstep.leg": leg, "lockstep.transaction": transactionHash, "lockstep.block": String(blockNumber) };
  const begun = steps.filter((step) => way.open.has(step));
  for (const step of begun.length > 0 ? begun : steps.slice(-1)) close(way, step, event, facts);
  way.seenAt.set(leg, event.at.getTime());
}

function addFinality(way: Way, event: EventNamed<"LegLocked" | "LegClaimFinalized" | "LegRefundFinalized">): void {
  const { leg, finalHeight } = event.data;
  const facts = { "lockstep.leg": leg, "lockstep.final_height": String(finalHeight) };
  const stage = instant(way.tracking, `swap.finality-${leg}`, event, facts);
  way.stages.push({ ...stage, start: way.seenAt.get(leg) ?? stage.start, route: way.route });
}

type NotedEvent = Exclude<
  Event,
  SeenEvent | EventNamed<"StepStarted" | "StepFailed" | "LegLocked" | "LegClaimFinalized" | "LegRefundFinalized">
>;

/** Moments between the stages: they took no time, so they have no route. What was signed or is secret has no place here. */
function addNote(way: Way, event: NotedEvent): void {
  const named = noteOf(event);
  if (named === undefined) return;
  const { name, error, facts = {} } = named;
  const stage = instant(way.tracking, `swap.${name}`, event, facts);
  way.stages.push({ ...stage, ...(error !== undefined && { error }) });
}

type Note = { readonly name: string; readonly error?: string; readonly facts?: SpanAttributes };

function noteOf(event: NotedEvent): Note | undefined {
  switch (event.type) {
    case "SwapRequested":
    case "LegPlaced":
      return undefined;
    case "SecretReceived":
      return { name: "secret_received" };
    case "SignatureReceived":
      return {
        name: "signature_received",
        facts: { "lockstep.leg": event.data.leg, "lockstep.kind": event.data.kind },
      };
    case "RevealStarted":
      return { name: "reveal_started" };
    case "RevealWithdrawn":
      return { name: "reveal_withdrawn" };
    case "EarlyRefundAgreed":
      return { name: "early_refund_agreed", facts: { "lockstep.leg": event.data.leg } };
    case "SwapApproved":
      return { name: "approved", facts: { "lockstep.step": event.data.step, "lockstep.by": event.data.by } };
    case "SwapRejected":
      return { name: "rejected", error: "rejected", facts: { "lockstep.step": event.data.step } };
    case "SwapRestored":
      return { name: "restored" };
    case "SwapGivenUp":
      return { name: "given_up", error: event.data.code };
    case "LegReorged":
      return { name: "reorganised", error: "reorganised", facts: { "lockstep.leg": event.data.leg } };
  }
}

/** From the request to the end, each time that it has ended: what a search for slow swaps finds. */
function wholeOf(history: readonly Event[], tracking: string): EndedStage[] {
  let swap: Swap | undefined;
  let before = false;
  return history.flatMap((event): EndedStage[] => {
    swap = evolve(swap, event);
    const isOver = hasEnded(swap);
    const ends = isOver && !before;
    before = isOver;
    if (!ends) return [];
    const { source, target } = swap.legs;
    const outcome = source.end?.kind === target.end?.kind ? (source.end?.kind ?? "unlocked") : "one-sided";
    return [
      {
        ...instant(tracking, "swap.journey", event, { "lockstep.outcome": outcome }),
        start: swap.requestedAt.getTime(),
      },
    ];
  });
}
