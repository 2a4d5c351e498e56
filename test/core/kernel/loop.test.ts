import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Clock, systemClock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type LoopFailure, type StepAnswer, startLoop } from "#core/kernel/loop.ts";
import { until } from "#test/support/until.ts";

/** Never wakes by itself; remembers what was slept. */
function stuckClock(): Clock & { slept: number[] } {
  const slept: number[] = [];
  return {
    slept,
    now: () => 0,
    sleep: (ms, signal) => {
      slept.push(ms);
      return systemClock.sleep(2 ** 31 - 1, signal);
    },
  };
}

const noError = (error: unknown) => assert.fail(String(error));

describe("loop", () => {
  it("continues at once, waits when idle, and runs again when woken", async () => {
    const answers: StepAnswer[] = ["continue", "continue", "idle", "idle"];
    let steps = 0;
    const clock = stuckClock();
    const loop = startLoop({ step: async () => answers[steps++] ?? "idle", clock, idleMs: 5, onError: noError });
    await until(() => clock.slept.length === 1);
    assert.equal(steps, 3);
    loop.wake();
    loop.wake();
    await until(() => clock.slept.length === 2);
    assert.equal(steps, 4);
    assert.deepEqual(clock.slept, [5, 5]);
    await loop.stop();
    assert.equal(await loop.ended, "stopped");
  });

  it("does not lose a wake-up that comes while a step is running", async () => {
    let steps = 0;
    const clock = stuckClock();
    const loop = startLoop({
      step: async () => {
        steps += 1;
        if (steps === 1) loop.wake();
        return "idle";
      },
      clock,
      idleMs: 5,
      onError: noError,
    });
    await until(() => clock.slept.length === 1);
    assert.equal(steps, 2);
    await loop.stop();
  });

  it("retries with doubling delays up to a bound, and starts over after a success", async () => {
    const failures: LoopFailure[] = [];
    let steps = 0;
    const loop = startLoop({
      step: async () => {
        steps += 1;
        if (steps === 5) return "continue";
        if (steps === 7) return "fatal";
        throw new Error("not yet");
      },
      clock: { now: () => 0, sleep: async () => undefined },
      idleMs: 1,
      backoff: { firstMs: 10, maxMs: 40 },
      onError: (_, failure) => failures.push(failure),
    });
    assert.equal(await loop.ended, "fatal");
    assert.deepEqual(
      failures.map(({ retryInMs }) => retryInMs),
      [10, 20, 40, 40, 10],
    );
    await loop.stop();
  });

  it("ends on an error that is not retryable", async () => {
    const failures: LoopFailure[] = [];
    const loop = startLoop({
      step: async () => {
        throw new LockstepError("config-invalid", "no");
      },
      clock: stuckClock(),
      idleMs: 1,
      onError: (_, failure) => failures.push(failure),
    });
    assert.equal(await loop.ended, "fatal");
    assert.deepEqual(failures, [{ failures: 1, fatal: true, retryInMs: 0 }]);
  });

  it("waits for the running step when it is stopped, and cuts a delay short", async () => {
    const release = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    let finished = false;
    const loop = startLoop({
      step: async (signal) => {
        started.resolve();
        await release.promise;
        finished = signal.aborted;
        throw new Error("after the stop");
      },
      clock: stuckClock(),
      idleMs: 1,
      onError: noError,
    });
    await started.promise;
    const stopped = loop.stop();
    release.resolve();
    await stopped;
    assert.equal(finished, true);

    const clock = stuckClock();
    const failing = startLoop({
      step: () => Promise.reject(new Error("always")),
      clock,
      idleMs: 1,
      onError: () => undefined,
    });
    await until(() => clock.slept.length === 1);
    await failing.stop();
  });
});
