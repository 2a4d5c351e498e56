import assert from "node:assert/strict";
import { it } from "node:test";
import { systemClock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { createScheduler } from "#swap/scheduler.ts";
import { quietLog } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";
import { createVirtualClock } from "#test/support/virtualClock.ts";

/** What is due until it was advanced, in this order. */
function dueList(...ids: readonly string[]) {
  const due = new Set(ids);
  return {
    due,
    index: {
      due: async (_now: Date, limit: number, except: readonly string[]) =>
        [...due].filter((id) => !except.includes(id)).slice(0, limit),
      postpone: async (id: string) => void due.delete(id),
    },
  };
}
const named = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}-${i}`);

it("one silent chain keeps none of the others from being looked at, however many hang on it", async () => {
  const clock = createVirtualClock(1_800_000_000_000);
  const { due, index } = dueList(...named("hanging", 120), "refund-0");
  const silence = Promise.withResolvers<void>();
  const looked: string[] = [];
  const driver = {
    async advance(id: string) {
      looked.push(id);
      if (id.startsWith("hanging")) await silence.promise;
      due.delete(id);
    },
  };
  const scheduler = createScheduler({ what: "swap", index, driver, clock, log: quietLog });
  scheduler.start();
  try {
    // A second a look: those that hang by then stand in nobody's way.
    for (let looks = 0; looks < 3; looks++) {
      await clock.asleep(1);
      clock.advance(1_000);
    }
    await clock.asleep(1);
    assert.ok(looked.includes("refund-0"));
    due.add("refund-1");
    clock.advance(1_000);
    await clock.asleep(1);
    assert.ok(!due.has("refund-1"));
    assert.equal(new Set(looked).size, looked.length, "nothing is looked at again while it hangs");
  } finally {
    silence.resolve();
    await scheduler.stop();
  }
  assert.deepEqual([...due], []);
});

it("no more are looked at at once than fifty, and the next as soon as one is through", async () => {
  const { due, index } = dueList(...named("swap", 200));
  let [now, most] = [0, 0];
  const driver = {
    async advance(id: string) {
      now += 1;
      most = Math.max(most, now);
      await new Promise(setImmediate);
      now -= 1;
      due.delete(id);
      if (due.size % 7 === 0) throw new LockstepError("conflict", "somebody else was there");
    },
  };
  const scheduler = createScheduler({ what: "swap", index, driver, clock: systemClock, log: quietLog });
  scheduler.start();
  try {
    await until(async () => due.size === 0);
  } finally {
    await scheduler.stop();
  }
  assert.equal(most, 50);
});
