import type { Db } from "#core/db/db.ts";
import type { Append, EventStore } from "#core/events/store.ts";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import { gather, togetherOrAlone } from "#core/kernel/gather.ts";
import type { IntentRequest, Sender } from "#core/sender/sender.ts";
import { type Batch, batchOf, formBatches, isBatchable, placedAlone, type StepDecision } from "./batches.ts";
import { type SwapEvent, swapStream } from "./events.ts";
import type { Swap } from "./swap.ts";

type Deps = { db: Db; store: EventStore; sender: Pick<Sender, "submit">; clock: Clock };

/** Writes what was decided about swaps; each fails with `conflict` when its swap has changed since it was loaded. */
export type DecisionWriter = {
  /** What was learned or given up: events alone. */
  record(swap: Swap, events: readonly SwapEvent[]): Promise<void>;
  /** A step, with the intent that does it: its own, or one that does the same for other swaps too. */
  start(decision: StepDecision): Promise<void>;
};

/** What goes into one transaction. */
const mostAtOnce = 50;
/** So many steps within so many milliseconds that could go together are worth waiting a moment for more. */
const busySteps = 4;
const busyMs = 500;
const lingerMs = 100;

type Entry = { readonly append: Append; readonly decision?: StepDecision };

export function createDecisionWriter({ db, store, sender, clock }: Deps): DecisionWriter {
  const at = ({ id, version }: Swap, events: readonly SwapEvent[]): Append => {
    return { stream: swapStream(id), expected: version, events };
  };

  async function write(appends: readonly Append[], intents: readonly IntentRequest[]): Promise<void> {
    await db.tx(async (tx) => {
      if (intents.length > 0) await sender.submit(tx, intents);
      await store.append(tx, appends);
    });
  }

  const alone = (decision: StepDecision): Entry => {
    const { swap, step, attempt, intent } = decision;
    const started: SwapEvent = { type: "StepStarted", data: { step, attempt, intentId: intent.id } };
    return { append: at(swap, [...placedAlone(decision), started]), decision };
  };

  const each = gather(
    togetherOrAlone<Entry, undefined>(async (entries) => {
      await write(
        entries.map(({ append }) => append),
        entries.flatMap(({ decision }) => decision?.intent ?? []),
      );
      return entries.map(() => undefined);
    }),
    mostAtOnce,
  );

  async function writeBatch(decisions: readonly StepDecision[]): Promise<undefined[]> {
    if (decisions.length === 1) {
      for (const decision of decisions) await each(alone(decision));
      return [undefined];
    }
    const batch: Batch = batchOf(decisions, unixSeconds(clock));
    const members = decisions.map(({ swap }, index) => at(swap, batch.events[index] ?? []));
    await write([{ stream: batch.stream, expected: 0, events: [batch.started] }, ...members], [batch.intent]);
    return decisions.map(() => undefined);
  }

  let lately: number[] = [];
  /** Under load a moment is waited, in which others come that can go along; it is nothing beside any deadline. */
  async function linger(): Promise<void> {
    lately = lately.filter((time) => time > clock.now() - busyMs);
    if (lately.length >= busySteps) await clock.sleep(lingerMs);
  }

  const joined = gather(
    async (decisions: readonly StepDecision[]) => {
      const { batches, alone: rest } = formBatches(decisions);
      const outcomes = new Map<StepDecision, PromiseSettledResult<undefined>>();
      const note = async (group: readonly StepDecision[]) => {
        const settled = await togetherOrAlone(writeBatch)(group);
        for (const [index, decision] of group.entries()) {
          const outcome = settled[index];
          if (outcome) outcomes.set(decision, outcome);
        }
      };
      await Promise.all([...batches, ...rest.map((decision) => [decision])].map(note));
      return decisions.flatMap((decision) => outcomes.get(decision) ?? []);
    },
    mostAtOnce,
    linger,
  );

  return {
    record: (swap, events) => each({ append: at(swap, events) }),
    async start(decision) {
      if (!isBatchable(decision)) return each(alone(decision));
      lately.push(clock.now());
      return joined(decision);
    },
  };
}
