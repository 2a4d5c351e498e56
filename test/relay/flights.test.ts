import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Queryable } from "#core/db/db.ts";
import { migrate } from "#core/db/migrate.ts";
import { relayMigrations } from "#relay";
import { ahead, type Flight, flightsOf } from "#relay/flights.ts";
import { onDatabase, withDatabase } from "../support/databases.ts";

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

/** A lane of 20,000 messages: a quarter has arrived, 20 are on their way in two deliveries, the others wait. */
const longLane = `
  INSERT INTO relay_messages
    (id, version, position, origin, destination, status, submitted, dropped, nonce, accumulator, sent_final, attested,
     delivery_intent, delivery_attempt, delivery_retry_at, failed_final, executed_block, executed_final, retry_running)
  SELECT n::text, 1, n, 'alpha', 'beta', 'final', false, false, n, 'a' || n, true, false,
         CASE WHEN n > 5010 THEN NULL WHEN n > 5000 THEN 'two' ELSE 'one' END, 1, CASE WHEN n = 4991 THEN 7 END, false,
         CASE WHEN n <= 4990 THEN 1 END, false, false
    FROM generate_series(1, 20000) AS n`;

await onDatabase("the deliveries on their way", (backend) => {
  it("are read with the nonces that have no outcome, without a look at what waits or has arrived", () =>
    withDatabase(backend, async ({ db }) => {
      await migrate(db, relayMigrations);
      await db.query(longLane);
      await db.query("ANALYZE relay_messages");
      const lane = { origin: "alpha", destination: "beta" };
      assert.deepEqual(await flightsOf(db, lane, 4_990n), [
        { intentId: "one", first: 4_992n, last: 5_000n, messages: 9, accumulator: "a5000" },
        { intentId: "two", first: 5_001n, last: 5_010n, messages: 10, accumulator: "a5010" },
      ]);
      let plan = "";
      const explained: Queryable = {
        async query(sql, params) {
          plan = JSON.stringify(await db.query(`EXPLAIN ${sql}`, params));
          return [];
        },
      };
      await flightsOf(explained, lane, 4_990n);
      assert.match(plan, /relay_messages_flying/);
    }));
});
