import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ahead, type Flight } from "#relay/flights.ts";

const flight = (first: bigint, last: bigint, messages = Number(last - first) + 1): Flight => ({
  ...{ intentId: `from-${first}`, first, last, messages },
  accumulator: "0x00",
});

describe("what is on its way before a message", () => {
  const [a, b, c] = [flight(11n, 13n), flight(14n, 14n), flight(15n, 20n)];

  it("is nothing where the message is the next one", () => {
    assert.deepEqual(ahead([], 10n, 11n), {});
    assert.deepEqual(ahead([b, c], 10n, 11n), {});
  });

  it("ends with the flight right before it", () => {
    assert.deepEqual(ahead([a, b, c], 10n, 21n), { last: c });
    assert.deepEqual(ahead([a, c], 10n, 14n), { last: a });
  });

  it("is not known where something else is missing between the head and the message", () => {
    assert.equal(ahead([], 10n, 12n), undefined, "nothing is on its way");
    assert.equal(ahead([b, c], 10n, 21n), undefined, "the first is not");
    assert.equal(ahead([a, c], 10n, 21n), undefined, "one in between is not");
    assert.equal(ahead([a, b], 10n, 16n), undefined, "the last is not");
    assert.equal(ahead([flight(11n, 13n, 2), b], 10n, 15n), undefined, "one within a flight is not");
    assert.equal(ahead([a], 10n, 13n), undefined, "the message is within the flight");
  });
});
