import assert from "node:assert/strict";
import { it } from "node:test";
import { instant } from "#core/events/stages.ts";
import { createStageTimes } from "#core/events/stageTimes.ts";
import type { StoredEvent } from "#core/events/store.ts";
import { createMetrics } from "#core/observe/metrics.ts";
import { quietLog as log } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";

const event = (position: bigint): StoredEvent => ({
  ...{ type: "Ended", data: {}, position, stream: `s${position}`, version: 1, at: new Date(5_000) },
});

it("takes the times of what was read, of some where there is much, and of no batch while one is looked at", async () => {
  const metrics = createMetrics();
  const gate = Promise.withResolvers<void>();
  const asked: number[] = [];
  const mosts = new Set<number | undefined>();
  const observe = createStageTimes({
    ...{ metrics, log },
    sources: [
      {
        async stagesOf(events, keeps, most) {
          asked.push(events.length);
          mosts.add(most);
          await gate.promise;
          const kept = events.filter(({ stream }) => keeps(stream));
          return kept.flatMap((each) => [
            { ...instant(each.stream, "stage", each), start: 2_000, route: "alpha→beta" },
            {
              ...instant(each.stream, "stage", each),
              start: 2_000,
              route: "alpha→beta",
              error: "no",
              position: 1_000n,
            },
            instant(each.stream, "root", each),
          ]);
        },
      },
    ],
  });
  observe([]);
  observe(Array.from({ length: 100 }, (_, at) => event(BigInt(at + 1))));
  observe([event(500n)]);
  gate.resolve();
  const count = async () => /stage_seconds_count\{.*\} (\d+)/.exec((await metrics.text()).body)?.[1];
  await until(async () => (await count()) === "20");
  const { body } = await metrics.text();
  assert.match(body, /stage_seconds_sum\{stage="stage",route="alpha→beta",outcome="ok"\} 60/);
  assert.doesNotMatch(body, /outcome="no"|stage="root"/);
  assert.deepEqual(asked, [100]);
  assert.deepEqual([...mosts], [20], "more need not be looked for");
  await until(async () => {
    observe([event(600n)]);
    return asked.length > 1;
  });
});

it("takes the time of what a passed over event has ended with the one that follows it, and once", async () => {
  const metrics = createMetrics();
  const [passedOver, next, last] = [event(1n), event(2n), event(3n)];
  const stage = (name: string, { position }: StoredEvent) => ({ ...instant("s", name, event(position)), route: "way" });
  const observe = createStageTimes({
    ...{ metrics, log },
    sources: [
      {
        stagesOf: async () => [
          { ...stage("sent", passedOver), countedAt: 2n },
          stage("final", next),
          stage("done", last),
        ],
      },
    ],
  });
  const counts = async () =>
    [...(await metrics.text()).body.matchAll(/stage_seconds_count\{stage="(\w+)",.*\} (\d+)/g)].map(
      ([, name, count]) => [name, count],
    );
  observe([next]);
  await until(async () => (await counts()).length > 0);
  assert.deepEqual(await counts(), [
    ["sent", "1"],
    ["final", "1"],
  ]);
  await until(async () => {
    observe([last]);
    return (await counts()).length > 2;
  });
  assert.deepEqual((await counts())[0], ["sent", "1"]);
});
