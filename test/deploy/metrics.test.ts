import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { z } from "zod";
import { createEventStore } from "#core/events/eventStore.ts";
import type { EventStore } from "#core/events/store.ts";
import { createMetrics, sharing } from "#core/observe/metrics.ts";
import { relayEvents, relayProjections } from "#relay";
import { swapEvents, swapProjections } from "#swap";
import { events as sample } from "#test/relay/samples.ts";
import { quietLog } from "#test/support/databases.ts";
import { type Composed, compose, scrapeValidator, validator } from "./composed.ts";

const stored = JSON.parse(readFileSync(new URL("../events/stored.json", import.meta.url), "utf8"));

describe("what a fleet tells of itself", () => {
  let composed: Composed;
  let store: EventStore;
  let body: string;

  before(async () => {
    composed = await compose();
    const { db } = composed;
    store = createEventStore({
      ...{ db, log: quietLog, schemas: { ...relayEvents, ...swapEvents } },
      projections: [...relayProjections, ...swapProjections],
      clock: { now: () => Date.now() - 100_000, sleep: async () => undefined },
    });
  });
  after(() => composed.close());

  const append = (stream: string, expected: number | "any", ...events: { type: string; data: unknown }[]) =>
    composed.db.tx((tx) => store.append(tx, [{ stream, expected, events }]));
  const value = (series: string): number => {
    const line = body.split("\n").find((each) => each.startsWith(`lockstep_${series} `));
    assert.ok(line, `${series} is not in\n${body}`);
    return Number(line.split(" ").at(-1));
  };
  const isAbout = (series: string, seconds: number) =>
    assert.ok(Math.abs(value(series) - seconds) < 60, `${series} is ${value(series)}`);

  it("has zeros where nothing has happened", async () => {
    body = await composed.scrape();
    for (const series of [
      'lane_nonce{origin="alpha",destination="beta",which="delivered"}',
      'lane_lag{origin="beta",destination="alpha"}',
      'lane_backlog{origin="alpha",destination="beta",status="attested"}',
      'lane_oldest_seconds{origin="alpha",destination="beta"}',
      'lane_failed{origin="alpha",destination="beta",state="dead"}',
      'swaps_open{status="revealed"}',
      'queue_jobs{queue="relay.deliver",state="waiting"}',
      'queue_jobs{queue="swap.advance",state="delayed"}',
      "outbox_waiting",
      "outbox_oldest_seconds",
      'event_position{which="newest"}',
      'instances{state="silent"}',
    ])
      assert.equal(value(series), 0, series);
    assert.equal(value('validator_weight{validator="v"}'), 1);
    assert.equal(value("queue_answers"), 1);
    assert.ok(!body.includes("validator_heard_seconds{"));
  });

  it("tells of each lane what is sent, final, delivered and failed, and for how long the first has waited", async () => {
    const sent = [1n, 2n, 3n, 4n, 5n].map((nonce) => ({ id: randomUUID(), ...sample.sent(nonce) }));
    for (const { id, ...event } of sent) await append(`message-${id}`, 0, event);
    const lane = { origin: "alpha", destination: "beta" };
    const finalized = { ...lane, firstNonce: 1n, lastNonce: 4n, finalHeight: 12n };
    await append("lane-alpha→beta", "any", { type: "MessagesFinalized", data: finalized });
    await append(`message-${sent[0]!.id}`, "any", {
      type: "MessageFailed",
      data: z.decode(relayEvents.MessageFailed, stored.MessageFailed[0]),
    });
    await composed.db.query(
      `INSERT INTO relay_attestations
       VALUES ('alpha', 'beta', 0, 1, $1, 1, '0x', '0x', now() - interval '200 seconds')`,
      [validator.address],
    );
    body = await composed.scrape();
    const of = 'origin="alpha",destination="beta"';
    assert.equal(value(`lane_nonce{${of},which="seen"}`), 5);
    assert.equal(value(`lane_nonce{${of},which="final"}`), 4);
    assert.equal(value(`lane_nonce{${of},which="delivered"}`), 1);
    assert.equal(value(`lane_lag{${of}}`), 3);
    assert.equal(value(`lane_backlog{${of},status="sent"}`), 1);
    assert.equal(value(`lane_backlog{${of},status="final"}`), 3);
    assert.equal(value(`lane_failed{${of},state="waiting"}`), 1);
    isAbout(`lane_oldest_seconds{${of}}`, 100);
    assert.equal(value('lane_oldest_seconds{origin="beta",destination="alpha"}'), 0);
    isAbout('validator_heard_seconds{validator="v"}', 200);
  });

  it("tells what holds a lane up", async () => {
    await composed.db.query(
      "INSERT INTO relay_lane_troubles VALUES ('alpha→beta', 'awaiting-quorum', 'no quorum', 1, now())",
    );
    body = await composed.scrape();
    assert.equal(value('lane_held{origin="alpha",destination="beta",code="awaiting-quorum"}'), 1);
  });

  it("tells how far the outbox is behind, without the events that ask for nothing", async () => {
    body = await composed.scrape();
    assert.equal(value('event_position{which="newest"}'), 7);
    assert.equal(value("outbox_waiting"), 2);
    isAbout("outbox_oldest_seconds", 100);
    await composed.db.query("INSERT INTO event_subscriptions VALUES ('jobs', 7)");
    body = await composed.scrape();
    assert.equal(value('event_position{which="outbox"}'), 7);
    assert.equal(value("outbox_waiting"), 0);
    assert.equal(value("outbox_oldest_seconds"), 0);
  });

  it("tells how many swaps there are and how near the deadline of what is to be claimed is", async () => {
    const id = randomUUID();
    const now = BigInt(Math.floor(Date.now() / 1_000));
    const requested = z.decode(swapEvents.SwapRequested, stored.SwapRequested[0]);
    const [source, target] = [requested.source, requested.target].map((leg, i) => ({
      ...{ ...leg, timelock: now + (i === 0 ? 900n : 600n) },
    }));
    const ofLeg = (leg: string, type: "LegDetected" | "LegLocked") => ({
      type,
      data: { ...z.decode(swapEvents[type], stored[type][0]), leg },
    });
    const swap = `swap-${id}`;
    await append(swap, 0, { type: "SwapRequested", data: { ...requested, source, target } });
    body = await composed.scrape();
    assert.equal(value('swaps_open{status="requested"}'), 1);
    assert.ok(!body.includes("swaps_deadline_seconds{"));
    await append(swap, "any", ofLeg("source", "LegDetected"), ofLeg("source", "LegLocked"));
    body = await composed.scrape();
    assert.equal(value('swaps_open{status="sourceLocked"}'), 1);
    isAbout('swaps_deadline_seconds{status="sourceLocked"}', 900);
    await append(swap, "any", ofLeg("target", "LegDetected"), ofLeg("target", "LegLocked"));
    body = await composed.scrape();
    isAbout('swaps_deadline_seconds{status="targetLocked"}', 600);
    await composed.db.query("UPDATE swap_legs SET timelock = timelock - 700");
    body = await composed.scrape();
    isAbout('swaps_deadline_seconds{status="refunding"}', -100);
    await composed.db.query("UPDATE swap_legs SET refunder = NULL");
    body = await composed.scrape();
    isAbout('swaps_deadline_seconds{status="refunding"}', 200);
  });

  it("tells of processes and of leases that nobody has", async () => {
    const add = (id: string, name: string, seen: number, stopped: boolean) =>
      composed.db.query(
        `INSERT INTO instances (id, name, host, pid, version, roles, groups, started_at, seen_at, stopped_at, report)
         VALUES ($1, $2, 'h', 1, '1', '{}', '{}', now() - $3 * interval '1 second', now() - $3 * interval '1 second',
           CASE WHEN $4 THEN now() END, '{"busy":0,"memoryBytes":1,"halted":[],"chains":[]}')`,
        [id, name, seen, stopped],
      );
    await add("1", "a", 300, false);
    await add("2", "a", 0, false);
    await add("3", "b", 400, false);
    await add("4", "c", 500, true);
    await composed.db.query(
      `INSERT INTO leases VALUES ('outbox', NULL, 3, now(), now() - interval '150 seconds'),
                                 ('due/swaps', '2', 1, now(), now() + interval '60 seconds')`,
    );
    body = await composed.scrape();
    assert.equal(value('instances{state="working"}'), 1);
    assert.equal(value('instances{state="silent"}'), 2);
    assert.equal(value('instances{state="stopped"}'), 1);
    isAbout('instance_seen_seconds{process="a"}', 0);
    isAbout('instance_seen_seconds{process="b"}', 400);
    assert.ok(!body.includes('instance_seen_seconds{process="c"}'));
    isAbout('lease_free_seconds{lease="outbox"}', 150);
    assert.ok(!body.includes('lease_free_seconds{lease="due/swaps"}'));
  });

  it("goes on where a table is away", async () => {
    await composed.db.query("ALTER TABLE relay_messages RENAME TO relay_messages_away");
    body = await composed.scrape();
    assert.ok(!body.includes("lockstep_lane_lag{"));
    assert.equal(value('instances{state="silent"}'), 2);
  });

  it("tells of a validator how far it is", async () => {
    body = await scrapeValidator();
    assert.equal(value('validator_status{validator="v",status="following"}'), 1);
    assert.equal(value('validator_height{validator="v",chain="alpha"}'), 7);
    assert.equal(value('validator_nonce{validator="v",origin="alpha",destination="beta",which="signed"}'), 2);
  });
});

describe("gauges", () => {
  it("that are told from one answer read it once, and anew the next time", async () => {
    let reads = 0;
    const read = sharing(async () => ++reads);
    const metrics = createMetrics();
    for (const name of ["one", "two"]) metrics.gauge(name, name, [], async (set) => set({}, await read()));
    await metrics.text();
    assert.match((await metrics.text()).body, /lockstep_one 2\n[\s\S]*lockstep_two 2\n/);
  });

  it("that hang are left out in time", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const metrics = createMetrics();
    metrics.gauge("well", "Well", [], (set) => set({}, 1));
    metrics.gauge("ill", "Ill", [], (set) => {
      set({}, 1);
      return new Promise<void>(() => undefined);
    });
    const text = metrics.text();
    t.mock.timers.tick(3_000);
    const { body } = await text;
    assert.match(body, /^lockstep_well 1$/m);
    assert.doesNotMatch(body, /^lockstep_ill \d/m);
  });
});
