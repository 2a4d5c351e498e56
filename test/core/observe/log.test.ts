import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { createLog } from "#core/observe/log.ts";
import { currentFields, runTracked, traceOf } from "#core/observe/tracking.ts";

describe("lines of the log", () => {
  it("carry what is worked for and nothing of each other, and it is made out once", () => {
    const destination = new PassThrough();
    const log = createLog({ level: "info", name: "test", destination });
    runTracked({ tracking: "swap-1" }, () => {
      log.info({ first: 1 }, "one");
      runTracked({ tracking: "swap-2" }, () => log.info({}, "inside"));
      log.info({}, "two");
      assert.equal(currentFields(), currentFields());
    });
    log.info({}, "outside");
    const lines = String(destination.read())
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const told = lines.map(({ msg, tracking, trace_id, first }) => [msg, tracking, trace_id, first]);
    const trace = (tracking: string) => traceOf(tracking).traceId;
    assert.deepEqual(told, [
      ["one", "swap-1", trace("swap-1"), 1],
      ["inside", "swap-2", trace("swap-2"), undefined],
      ["two", "swap-1", trace("swap-1"), undefined],
      ["outside", undefined, undefined, undefined],
    ]);
  });
});
