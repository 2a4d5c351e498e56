import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createKnownEvents } from "#core/events/known.ts";
import type { StoredEvent } from "#core/events/store.ts";

const eventsOf = (stream: string, count: number): StoredEvent[] =>
  Array.from({ length: count }, (_, index) => ({
    ...{ position: BigInt(index), stream, version: index + 1, type: "Deposited", data: {}, at: new Date(0) },
  }));

describe("events that are known", () => {
  it("are so many at most, and those that were kept longest ago go first", () => {
    const known = createKnownEvents(10);
    for (const stream of ["a", "b", "c"]) known.keep(stream, eventsOf(stream, 3), 0n);
    known.keep("a", eventsOf("a", 4), 0n);
    known.keep("d", eventsOf("d", 3), 0n);
    assert.deepEqual(
      ["a", "b", "c", "d"].map((stream) => known.of(stream).length),
      [4, 0, 3, 3],
    );
    known.keep("huge", eventsOf("huge", 11), 0n);
    assert.deepEqual([known.of("huge").length, known.of("a").length], [0, 0]);
    known.keep("a", eventsOf("a", 10), 0n);
    assert.equal(known.of("a").length, 10);
  });

  it("are forgotten where it turns out that they are not there", () => {
    const known = createKnownEvents(10);
    known.keep("a", eventsOf("a", 5), 0n);
    known.keep("b", eventsOf("b", 5), 0n);
    known.forget(["a", "none"]);
    assert.deepEqual([known.of("a").length, known.of("b").length], [0, 5]);
    known.keep("c", eventsOf("c", 5), 0n);
    assert.equal(known.of("b").length, 5, "their room is free");
  });

  it("are forgotten when streams have left, and what was read before that is not kept", () => {
    const known = createKnownEvents(10);
    known.keep("a", eventsOf("a", 5), 0n);
    known.outdate(1n);
    known.keep("b", eventsOf("b", 5), 0n);
    known.keep("c", eventsOf("c", 10), 1n);
    known.outdate(1n);
    assert.deepEqual(
      ["a", "b", "c"].map((stream) => known.of(stream).length),
      [0, 0, 10],
    );
  });
});
