import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LockstepError } from "#core/kernel/errors.ts";
import { fixed } from "#core/kernel/live.ts";
import { createLanes } from "#relay/lane.ts";
import { createLaneRunner } from "#relay/runner.ts";
import { quietLog } from "../support/databases.ts";
import { sites } from "./gatewayLogs.ts";

const lanes = createLanes({ chains: fixed(sites) });
const there = lanes.get({ origin: "alpha", destination: "beta" });
const back = lanes.get({ origin: "beta", destination: "alpha" });

/** A driver whose steps end when told. */
function controlled() {
  const started: string[] = [];
  const open: { resolve(again: boolean): void; reject(error: unknown): void }[] = [];
  const runner = createLaneRunner({
    log: quietLog,
    driver: {
      step: ({ origin }) => {
        started.push(origin);
        const { promise, resolve, reject } = Promise.withResolvers<boolean>();
        open.push({ resolve, reject });
        return promise;
      },
    },
  });
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  return { runner, started, open, settled };
}

describe("looks at lanes", () => {
  it("are one at a time for each lane, and any number of wishes meanwhile is one more", async () => {
    const { runner, started, open, settled } = controlled();
    const first = runner.run(there);
    const later = [runner.run(there), runner.run(there)];
    runner.wake(there);
    const other = runner.run(back);
    assert.deepEqual(started, ["alpha", "beta"]);
    open[0]?.resolve(false);
    await first;
    await settled();
    assert.deepEqual(started, ["alpha", "beta", "alpha"]);
    open[2]?.resolve(false);
    open[1]?.resolve(false);
    await Promise.all([...later, other]);
    assert.equal(started.length, 3);
  });

  it("go on as long as there is more to do, and again after a conflict, but not for ever", async () => {
    const { runner, started, open, settled } = controlled();
    const refused = assert.rejects(runner.run(there), /faster/);
    open[0]?.resolve(true);
    await settled();
    for (let n = 1; n <= 5; n++) {
      open[n]?.reject(new LockstepError("conflict", "somebody else was faster"));
      await settled();
    }
    await refused;
    assert.equal(started.length, 6);
  });

  it("tell who waits about a failure, and still look again for the next one", async () => {
    const { runner, open, settled } = controlled();
    const refused = assert.rejects(runner.run(there), /no/);
    const next = runner.run(there);
    open[0]?.reject(new Error("no"));
    await refused;
    await settled();
    open[1]?.resolve(false);
    await next;
  });

  it("end when they are stopped, and none begins after that", async () => {
    const { runner, started, open } = controlled();
    runner.wake(there);
    runner.wake(there);
    const stopped = runner.stop();
    open[0]?.resolve(true);
    await stopped;
    await runner.run(there);
    assert.equal(started.length, 1);
  });
});
