import { archivedStreams } from "#core/archive/tables.ts";
import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import { cutPage } from "#core/http/page.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Waiting } from "#core/sender/sender.ts";
import type { Asking } from "./ask.ts";
import { validatorHeads } from "./attestationStore.ts";
import { destinationFacts } from "./destination.ts";
import { messageIdOf } from "./events.ts";
import { laneFindings } from "./findings.ts";
import { historiesOf } from "./history.ts";
import { type Lane, type Lanes, laneName } from "./lane.ts";
import { headIntent, laneFigures, troubles } from "./laneState.ts";
import { findMessageId, type ListFilter, listRows } from "./readModel.ts";
import type { LaneView, MessageView, ValidatorView } from "./schemas.ts";
import { excludedNames, type ValidatorBook } from "./validators.ts";
import { validatorViews } from "./validatorViews.ts";
import { type LaneContext, reasonOfTrouble, stalled, viewOf } from "./view.ts";

/** What the API answers, read from the read models and streams alone. */
export type RelayQueries = {
  /** By the service's own id or the on-chain one. Throws `not-found`. */
  message(reference: string): Promise<MessageView>;
  /** Throws `chain-unknown` for a filter by a chain that is not served and never was. */
  messages(filter: ListFilter): Promise<{ messages: MessageView[]; next?: string }>;
  /** Messages that have left the database, newest first, before a place. */
  archived(before: bigint | undefined, limit: number): Promise<{ messages: MessageView[]; next?: string }>;
  lanes(): Promise<LaneView[]>;
  validators(): Promise<ValidatorView[]>;
};

export function createRelayQueries(deps: {
  db: Db;
  store: EventStore;
  lanes: Lanes;
  book: ValidatorBook;
  asking: Asking;
  sender: { waiting?(): Promise<ReadonlyMap<string, Waiting>> };
  clock: Clock;
  retryFailed: boolean;
}): RelayQueries {
  const { db, store, lanes, book, asking, clock, retryFailed } = deps;

  /** What all reasons rest on, read once for any number of messages. */
  async function contexts(): Promise<(lane: Lane) => LaneContext> {
    const asked = [validatorHeads(db), troubles(db), laneFindings(db), book.read(), deps.sender.waiting?.()] as const;
    const [heads, held, found, validators, intents = new Map<string, Waiting>()] = await Promise.all(asked);
    return (lane) => {
      const name = laneName(lane);
      const own = heads.filter((head) => head.lane === name);
      const trouble = held.get(name);
      const served = lanes.find(lane);
      const removed = { code: "lane-removed", detail: `the lane ${name} is not served here` } as const;
      const hold = served ? served.hold : removed;
      const finding = found.get(name);
      const byValidator = new Map<Hex, bigint>(own.map(({ validator, nonce }) => [validator, nonce]));
      const known = { book: validators.newest(lane), retryFailed, intents, heads: byValidator };
      return { ...known, ...(trouble && { trouble }), ...(hold && { hold }), ...(finding && { finding }) };
    };
  }

  async function views(ids: readonly string[]): Promise<MessageView[]> {
    const [histories, contextOf] = await Promise.all([historiesOf(store, db, ids), contexts()]);
    return ids.flatMap((id) => viewOf(histories.get(id) ?? [], contextOf) ?? []);
  }

  return {
    async message(reference) {
      const [view] = await views([(await findMessageId(db, reference.toLowerCase())) ?? reference]);
      if (view) return view;
      throw new LockstepError("not-found", "there is no message with this id", { details: { field: "id" } });
    },
    async messages(filter) {
      const { page: rows, last } = cutPage(await listRows(db, { ...filter, limit: filter.limit + 1 }), filter.limit);
      // Messages of a chain that was removed are still found.
      if (rows.length === 0) {
        for (const end of ["origin", "destination"] as const) {
          const name = filter[end];
          if (name !== undefined) lanes.requireChain(name, end);
        }
      }
      const messages = await views(rows.map(({ id }) => id));
      return { messages, ...(last && { next: last.position.toString() }) };
    },
    async archived(before, limit) {
      const { page, last } = cutPage(await archivedStreams(db, "message", before, limit + 1), limit);
      const messages = await views(page.map(({ stream }) => messageIdOf(stream) ?? ""));
      return { messages, ...(last && { next: last.place.toString() }) };
    },
    async lanes() {
      const asked = [
        troubles(db),
        laneFindings(db),
        destinationFacts(db),
        book.read(),
        deps.sender.waiting?.(),
      ] as const;
      const [held, found, destinations, validators, intents] = await Promise.all(asked);
      return Promise.all(
        lanes.all.map(async ({ origin, destination, delivery, source, state, revision, hold }): Promise<LaneView> => {
          const lane = laneName({ origin, destination });
          const figures = await laneFigures(db, { origin, destination });
          const trouble = figures.backlog > 0 ? held.get(lane) : undefined;
          const standing = hold ?? found.get(lane);
          const reason = standing
            ? { code: standing.code, message: standing.detail }
            : trouble
              ? reasonOfTrouble(trouble)
              : intents && stalled({ intents }, await headIntent(db, { origin, destination }));
          const setting = { source, state: state === "paused" ? ("paused" as const) : ("active" as const), revision };
          const there = destinations.get(lane);
          return {
            ...{ lane, origin, destination, delivery, ...setting, ...figures },
            ...(there && { generation: there.generation, pausedThere: there.isPaused, deferred: there.deferrals }),
            excluded: excludedNames(validators.newest({ origin, destination }), book),
            ...(reason && { reason }),
          };
        }),
      );
    },
    validators: () => validatorViews({ db, lanes, book, asking, clock }),
  };
}
