import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { createJourneys } from "#core/events/journeys.ts";
import { instant } from "#core/events/stages.ts";
import type { Stage } from "#core/observe/tracing.ts";
import { embeddedDatabase, quietLog as log, type OpenDatabase } from "#test/support/databases.ts";
import { deposit, itemStore } from "#test/support/items.ts";
import { until } from "#test/support/until.ts";
import { createVirtualClock } from "#test/support/virtualClock.ts";

describe("journeys", () => {
  let database: OpenDatabase;
  let store: Awaited<ReturnType<typeof itemStore>>;
  const told: Stage[] = [];
  let isAway = false;

  beforeEach(async () => {
    database = await embeddedDatabase.open();
    store = await itemStore(database.db);
    told.length = 0;
    isAway = false;
  });
  afterEach(() => database.close());

  const write = async (stream: string) => {
    await database.db.tx((tx) => store.append(tx, [{ stream, expected: "any", events: [deposit(1n)] }]));
  };
  const create = (clock = createVirtualClock(Date.now())) =>
    createJourneys({
      ...{ db: database.db, store, log, clock },
      // As contexts do: all stages of what events are about, whichever event has ended them.
      sources: [
        {
          async stagesOf(events, keeps) {
            const streams = [...new Set(events.map(({ stream }) => stream))].filter(keeps);
            const histories = await store.loadMany(database.db, streams);
            return [...histories].flatMap(([stream, history]) =>
              history.map((event) => instant(stream, "step", event)),
            );
          },
        },
      ],
      keeps: (tracking) => tracking !== "unkept",
      async deliver(stages) {
        if (isAway) throw new Error("away");
        told.push(...stages);
      },
    });
  const keys = () => told.map(({ tracking, key }) => `${tracking} ${key}`);

  it("tell each stage once, from the newest event on, and nothing of what is not kept", async () => {
    await write("old");
    await write("old");
    const journeys = create();
    journeys.start();
    await until(() => told.length > 0);
    await write("a");
    await write("unkept");
    await write("a");
    await until(() => told.length === 3);
    await journeys.stop();
    assert.deepEqual(keys(), ["old step-2", "a step-3", "a step-5"]);
  });

  it("go on where another process stopped, with what the collector did not take told again", async () => {
    const first = create();
    await write("a");
    first.start();
    await until(() => told.length === 1);
    isAway = true;
    await write("b");
    await write("b");
    await first.stop();
    isAway = false;
    const second = create();
    second.start();
    await until(() => told.length === 3);
    await second.stop();
    assert.deepEqual(keys(), ["a step-1", "b step-2", "b step-3"]);
  });

  it("pass over what is older than an hour, so that a collector that is gone holds nothing up for good", async () => {
    const clock = createVirtualClock(Date.now());
    const journeys = create(clock);
    await write("a");
    journeys.start();
    await until(() => told.length === 1);
    isAway = true;
    await write("b");
    await journeys.stop();
    const late = createVirtualClock(Date.now() + 3_700_000);
    const second = create(late);
    isAway = false;
    second.start();
    const checkpoint = async () => {
      const [row] = await database.db.query<{ position: bigint }>(
        "SELECT position FROM event_subscriptions WHERE name = 'traces'",
      );
      return row?.position;
    };
    await until(async () => (await checkpoint()) === 2n);
    await second.stop();
    assert.deepEqual(keys(), ["a step-1"]);
  });
});
