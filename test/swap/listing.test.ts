import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { cutPage } from "#core/http/page.ts";
import { swapEvents, swapMigrations, swapProjections } from "#swap";
import { type SwapEvent, swapStream } from "#swap/events.ts";
import { listSwapIds, type SwapFilter } from "#swap/listing.ts";
import { statusOf, swapStatuses } from "#swap/status.ts";
import { foldSwap } from "#swap/swap.ts";
import { type OpenDatabase, onDatabase, quietLog } from "#test/support/databases.ts";
import {
  claimed,
  claimFinal,
  detected,
  failed,
  givenUp,
  hexOf,
  locked,
  refunded,
  refundFinal,
  reorged,
  requested,
  revealStarted,
  revealWithdrawn,
  started,
  stored,
} from "./samples.ts";

type Requested = Extract<SwapEvent, { type: "SwapRequested" }>;
const legNames = ["source", "target"] as const;

/** Whatever may come after a request, as far as the read model and `statusOf` tell it apart. */
const happenings: readonly SwapEvent[] = [
  ...[revealStarted, revealWithdrawn, givenUp],
  ...legNames.flatMap((leg) => [
    ...[started(`lock-${leg}`), failed(`lock-${leg}`, 900n), detected(leg), locked(leg)],
    ...[claimed(leg), claimFinal(leg), refunded(leg), refundFinal(leg)],
    ...(["lock", "claim", "refund"] as const).map((undone) => reorged(leg, undone)),
  ]),
];

await onDatabase("the list of swaps", (backend) => {
  const open = async () => {
    const database = await backend.open();
    await migrate(database.db, [...eventMigrations, ...swapMigrations]);
    return { database, add: writer(database) };
  };

  it("filters by the status that the events and the time make", async () => {
    const { database, add } = await open();
    try {
      let made = 0;
      const property = fc.asyncProperty(
        fc.array(fc.constantFrom(...happenings), { maxLength: 12 }),
        fc.constantFrom(500n, 1_000n, 2_000n),
        async (after, now) => {
          const id = String(++made);
          const events = [requestOf(made), ...after];
          await add(id, events);
          const swap = foldSwap(stored(...events));
          assert.ok(swap);
          const found: string[] = [];
          for (const status of swapStatuses) {
            const ids = await listSwapIds(database.db, { status }, { before: undefined, limit: 1_000, now });
            if (ids.some((each) => each.id === id)) found.push(status);
          }
          assert.deepEqual(found, [statusOf(swap, now)]);
        },
      );
      await fc.assert(property, { numRuns: 80 });
    } finally {
      await database.close();
    }
  });

  it("goes through every swap once, page after page, while others come, and no page but the only one is empty", async () => {
    const { database, add } = await open();
    try {
      let made = 0;
      const more = async () => add(String(++made), [requestOf(made)]);
      for (let i = 0; i < 7; i++) await more();
      const property = fc.asyncProperty(fc.integer({ min: 1, max: 8 }), fc.array(fc.boolean()), async (limit, come) => {
        const before = Array.from({ length: made }, (_, i) => String(made - i));
        const seen: string[] = [];
        let cursor: bigint | undefined;
        do {
          const rows = await listSwapIds(database.db, {}, { before: cursor, limit: limit + 1, now: 0n });
          const { page, last } = cutPage(rows, limit);
          assert.ok(page.length > 0);
          seen.push(...page.map(({ id }) => id));
          cursor = last?.cursor;
          if (come.pop()) await more();
        } while (cursor !== undefined);
        assert.deepEqual(seen, before);
      });
      await fc.assert(property, { numRuns: 15 });
    } finally {
      await database.close();
    }
  });

  it("filters by chain, account, address and time of the request", async () => {
    const { database, add } = await open();
    try {
      const [start] = await database.db.query<{ now: Date }>("select now() as now");
      await add("1", [requestOf(1)]);
      const ids = async (filter: SwapFilter) =>
        (await listSwapIds(database.db, filter, { before: undefined, limit: 10, now: 0n })).map(({ id }) => id);
      const there: SwapFilter[] = [
        ...[{ chain: "alpha" }, { chain: "beta" }, { account: "alice" }, { account: "bob" }],
        ...[{ address: hexOf("a", 20) }, { address: hexOf("b", 20) }, { since: new Date(0) }],
        { until: new Date((start?.now.getTime() ?? 0) + 86_400_000) },
      ];
      for (const filter of there) assert.deepEqual(await ids(filter), ["1"], JSON.stringify(filter));
      const missing: SwapFilter[] = [
        ...[{ chain: "gamma" }, { account: "carol" }, { address: hexOf("d", 20) }, { until: new Date(0) }],
        { since: new Date((start?.now.getTime() ?? 0) + 86_400_000) },
        { chain: "alpha", account: "carol" },
      ];
      for (const filter of missing) assert.deepEqual(await ids(filter), [], JSON.stringify(filter));
    } finally {
      await database.close();
    }
  });
});

function writer({ db }: OpenDatabase) {
  const store = createEventStore({ db, schemas: swapEvents, projections: swapProjections, log: quietLog });
  return async (id: string, events: readonly SwapEvent[]) => {
    await db.tx((tx) => store.append(tx, [{ stream: swapStream(id), expected: 0, events }]));
  };
}

/** A request with ids of its own. */
function requestOf(number: number): SwapEvent {
  const { data } = requested as Requested;
  const id = (digit: string) => `0x${digit}${number.toString(16).padStart(63, "0")}` as const;
  const [source, target] = [
    { ...data.source, lockId: id("1") },
    { ...data.target, lockId: id("2") },
  ];
  return { type: "SwapRequested", data: { ...data, hashlock: id("3"), source, target } };
}
