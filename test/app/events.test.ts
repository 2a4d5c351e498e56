import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect } from "node:net";
import { describe, it } from "node:test";
import { z } from "zod";
import { eventSchema, shownKinds } from "#app/api/eventRoutes.ts";
import { createEventRoutes, takeSockets } from "#app/api/events.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { createFeed, type FeedOptions } from "#core/events/feed.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { createShow, type ShownEvent } from "#core/events/shown.ts";
import type { AnyEvent, EventStore, StoredEvent } from "#core/events/store.ts";
import { admitOrigins } from "#core/http/browsers.ts";
import { guardRoutes } from "#core/http/guard.ts";
import { localAuthenticator, refusePages } from "#core/http/localOnly.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { fixed } from "#core/kernel/live.ts";
import { redact } from "#core/kernel/redacted.ts";
import { intentEvents } from "#core/sender/sender.ts";
import { relayEvents } from "#relay";
import { swapEvents } from "#swap";
import { quietLog as log, type OpenDatabase, onDatabase, withDatabase } from "#test/support/databases.ts";
import { openSse, type SseClient } from "#test/support/sse.ts";
import { until } from "#test/support/until.ts";

const schemas: Record<string, z.ZodType> = { ...intentEvents, ...relayEvents, ...swapEvents };
const stored: Record<string, unknown[]> = JSON.parse(
  readFileSync(new URL("../events/stored.json", import.meta.url), "utf8"),
);
const streams: Record<string, string> = {
  message: "message-m1",
  lane: "lane-alpha→beta-origin",
  swap: "swap-s1",
  batch: "swapbatch-b1",
  lock: "watch-w1",
  transaction: "intent-i1",
};
const samples = shownKinds.flatMap(({ kind, types }) =>
  Object.keys(types).flatMap((type) =>
    (stored[type] ?? []).map((sample) => ({ kind, type, sample, data: schemas[type]?.decode(sample as never) })),
  ),
);

const noFirst = { loadFirst: async () => new Map() };
const noDatabase = { query: async () => [] };

async function showAll(): Promise<ShownEvent[]> {
  const show = createShow({ kinds: shownKinds, store: noFirst, db: noDatabase });
  return show(
    samples.map(({ kind, type, data }, index): StoredEvent => {
      const stream = streams[kind] ?? "";
      return { type, data, stream, position: BigInt(index + 1), version: index + 2, at: new Date(0) };
    }),
  );
}

/** Every text that is anywhere in a value. */
const textsIn = (value: unknown): string[] =>
  typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [String(value)];

describe("what is shown of events", () => {
  it("is something of every type that is stored", () => {
    const shown = shownKinds.flatMap(({ types }) => Object.keys(types));
    assert.deepEqual(shown.toSorted(), Object.keys(stored).toSorted());
  });

  it("is what the description of the API says, and names its subject", async () => {
    for (const { text, kind, subject } of await showAll()) {
      const message = JSON.parse(text);
      assert.deepEqual(z.encode(eventSchema, z.decode(eventSchema, message)), message);
      assert.equal(
        subject,
        { lane: "alpha→beta" }[kind] ??
          `${kind === "batch" ? "b" : kind === "transaction" ? "i" : kind === "lock" ? "w" : kind[0]}1`,
      );
    }
  });

  it("has no signature, no id of a transaction's intent, and no secret but that of a claim on a chain", async () => {
    const allowed = new Set(["LegClaimed"]);
    const shown = await showAll();
    assert.equal(shown.length, samples.length);
    for (const [index, { type, text }] of shown.entries()) {
      const { data } = JSON.parse(text);
      const sample = samples[index]?.sample as Record<string, unknown>;
      for (const field of ["signature", "intentId", "accumulator", "leaves", "secret"]) {
        if (field === "secret" && allowed.has(type)) continue;
        const value = textsIn(sample).length > 0 ? sample[field] : undefined;
        assert.ok(!(field in data), `${type} shows ${field}`);
        if (typeof value === "string" && value.length > 20) assert.ok(!text.includes(value), `${type} shows ${field}`);
      }
      assert.doesNotMatch(text, /(?:ab){65}|"raw"|privateKey|sealed/);
    }
  });

  it("leaves out what is added to an event before somebody decides that it is shown", async () => {
    const show = createShow({ kinds: shownKinds, store: noFirst, db: noDatabase });
    const event = { type: "SecretReceived", data: { secret: "0x5ec2e7" }, stream: "swap-s1", version: 2 };
    const [shown] = await show([{ ...event, position: 1n, at: new Date(0) }]);
    assert.deepEqual(JSON.parse(shown?.text ?? "").data, {});
  });
});

// biome-ignore lint/suspicious/noExplicitAny: whatever a server answers
async function answerOf(url: string, headers: Record<string, string> = {}): Promise<any> {
  return (await fetch(url, { headers })).json();
}

type World = OpenDatabase & {
  store: EventStore;
  url: string;
  /** The server goes down and another one comes at the same address. */
  restart(): Promise<void>;
  write(events: readonly { stream: string; event: AnyEvent }[]): Promise<void>;
};

await onDatabase("the streams of events", (backend) => {
  const token = "start-up-token";
  const page = "https://page.example";
  const chains = fixed({ alpha: {}, beta: {}, gamma: {} });
  const lanes = fixed({ "alpha→beta": {} });

  type Options = Partial<FeedOptions> & { readonly pages?: boolean };
  async function listen(world: { store: EventStore } & OpenDatabase, { pages, ...options }: Options, port = 0) {
    const app: HttpServer = await createHttpServer({ log, title: "t", version: "1", description: "d" });
    const show = createShow({ kinds: shownKinds, store: world.store, db: world.db });
    const feed = createFeed({ store: world.store, show, log, ...options });
    await takeSockets(app, feed);
    const origins = [page];
    if (pages) await admitOrigins(app, origins);
    else refusePages(app);
    guardRoutes(app, [localAuthenticator(redact(token))]);
    const registry = { chains, lanes } as unknown as Parameters<typeof createEventRoutes>[0]["registry"];
    await createEventRoutes({ feed, registry, clock: systemClock, ...(pages && { origins }) })(app);
    feed.start();
    await app.listen({ host: "127.0.0.1", port });
    return app;
  }

  const withServer = (work: (world: World) => Promise<void>, options: Options = {}) =>
    withDatabase(backend, async (database) => {
      await migrate(database.db, eventMigrations);
      const store = createEventStore({ db: database.db, schemas, log });
      let app = await listen({ ...database, store }, options);
      const { port } = app.server.address() as AddressInfo;
      const write: World["write"] = async (events) => {
        await database.db.tx((tx) =>
          store.append(
            tx,
            events.map(({ stream, event }) => ({ stream, expected: "any" as const, events: [event] })),
          ),
        );
      };
      const restart = async () => {
        await app.close();
        app = await listen({ ...database, store }, options, port);
      };
      try {
        await work({ ...database, store, url: `http://127.0.0.1:${port}`, write, restart });
      } finally {
        await app.close();
      }
    });
  const abandoned = (stream: string, origin = "alpha", destination = "beta") => ({
    stream,
    event: { type: "MessageAbandoned", data: { origin, destination } },
  });
  const many = (count: number) => Array.from({ length: count }, (_, index) => abandoned(`message-${index}`));
  const ids = ({ messages }: Pick<SseClient, "messages">) =>
    messages.filter(({ event }) => event !== "end").map(({ id }) => Number(id));
  const upTo = (last: number, from = 1) => Array.from({ length: last - from + 1 }, (_, index) => from + index);

  it("tell each event once, from now, from an id, or from the beginning", () =>
    withServer(async ({ url, write }) => {
      await write(many(3));
      const now = await openSse(`${url}/v1/events`);
      const all = await openSse(`${url}/v1/events?after=0`);
      // What a browser sends when it comes back counts more than the address that it came with.
      const back = await openSse(`${url}/v1/events?after=0`, { "last-event-id": "2" });
      assert.match(now.headers["content-type"] ?? "", /^text\/event-stream/);
      await until(() => now.lastId() === "3");
      await write(many(1));
      await until(() => [now, all, back].every(({ lastId }) => lastId() === "4"));
      assert.deepEqual([now, all, back].map(ids), [[4], [1, 2, 3, 4], [3, 4]]);
      const [message] = now.messages;
      assert.equal(message?.event, "MessageAbandoned");
      const { at: _, ...told } = JSON.parse(message?.data ?? "");
      assert.deepEqual(told, {
        ...{ id: "4", type: "MessageAbandoned", kind: "message", subject: "0", version: 2 },
        ...{ chains: ["alpha", "beta"], lane: "alpha→beta", data: { origin: "alpha", destination: "beta" } },
      });
      for (const each of [now, all, back]) each.close();
    }));

  it("go on without loss or repetition after the server was away, and say that they end", () =>
    withServer(async ({ url, write, restart }) => {
      await write(many(2));
      const first = await openSse(`${url}/v1/events?after=0`);
      await until(() => first.messages.length === 2);
      const closed = first.closed;
      await restart();
      await closed;
      const end = first.messages.at(-1);
      assert.equal(end?.event, "end");
      assert.equal(JSON.parse(end?.data ?? "").code, "shutting-down");
      assert.ok((first.retry() ?? 0) > 0);
      await write(many(2));
      const second = await openSse(`${url}/v1/events`, { "last-event-id": first.lastId() });
      await until(() => second.messages.length === 2);
      assert.deepEqual([...ids(first), ...ids(second)], [1, 2, 3, 4]);
      second.close();
    }));

  it("cut a reader that stops reading, which then has the rest by its last id", () =>
    withServer(
      async ({ url, write }) => {
        const large = { origin: "alpha", destination: "beta", code: "too-long", detail: "x".repeat(20_000) };
        const slow = await openSse(`${url}/v1/events`);
        slow.pause();
        const total = 900;
        for (let index = 0; index < total; index += 100) {
          const events = Array.from({ length: 100 }, (_, each) => ({
            stream: `message-${index + each}`,
            event: { type: "MessageDropped", data: large },
          }));
          await write(events);
        }
        slow.resume();
        await slow.closed;
        const got = ids(slow);
        assert.ok(got.length < total, "was never cut");
        const rest = await openSse(`${url}/v1/events`, { "last-event-id": slow.lastId() });
        await until(() => got.length + rest.messages.length === total);
        assert.deepEqual([...got, ...ids(rest)], upTo(total));
        rest.close();
      },
      { mostBuffered: 100_000 },
    ));

  it("keep to filters, and refuse what nothing can fit, naming the field", () =>
    withServer(async ({ url, write }) => {
      await write([
        abandoned("message-1"),
        abandoned("message-2", "beta", "gamma"),
        {
          stream: "swapbatch-1",
          event: { type: "StepsBatched", data: { step: "lock-target", chain: "gamma", swaps: [] } },
        },
      ]);
      const cases = {
        "kind=message": [1, 2],
        "kind=message,batch&chain=gamma": [2, 3],
        [`lane=${encodeURIComponent("alpha→beta")}`]: [1],
        "type=StepsBatched": [3],
        "subject=2": [2],
      };
      for (const [query, wanted] of Object.entries(cases)) {
        const client = await openSse(`${url}/v1/events?after=0&${query}`);
        await until(() => ids(client).length === wanted.length);
        assert.deepEqual(ids(client), wanted, query);
        client.close();
      }
      const refused = {
        "kind=parcel": ["request-invalid", "kind"],
        "type=MessageSent,Parcel": ["request-invalid", "type"],
        "kind=swap&type=MessageSent": ["request-invalid", "type"],
        "chain=delta": ["chain-unknown", "chain"],
        [`lane=${encodeURIComponent("alpha→delta")}`]: ["lane-unknown", "lane"],
        "after=-1": ["request-invalid", "after"],
        "after=4": ["event-position-unknown", "after"],
        "since=1": ["request-invalid", "since"],
        "subject=%0A": ["request-invalid", "subject"],
      };
      for (const [query, [code, field]] of Object.entries(refused)) {
        const problem = await answerOf(`${url}/v1/events?${query}`);
        assert.deepEqual([problem.code, problem.field], [code, field], query);
      }
      const { status, field } = await answerOf(`${url}/v1/events`, { "last-event-id": "x" });
      assert.deepEqual([status, field], [400, "last-event-id"]);
    }));

  it("tell the same over a WebSocket, and nothing to a page of another origin or without the token", () =>
    withServer(async ({ url, write }) => {
      await write(many(3));
      const ws = url.replace("http", "ws");
      const socket = new WebSocket(`${ws}/v1/events/ws?after=1&kind=message`);
      const told: string[] = [];
      socket.addEventListener("message", ({ data }) => void told.push(String(data)));
      await once(socket, "open");
      const client = await openSse(`${url}/v1/events?after=1`);
      await write(many(1));
      await until(() => told.length === 3 && client.messages.length === 3);
      assert.deepEqual(
        told,
        client.messages.map(({ data }) => data),
      );
      const closing = once(socket, "close") as Promise<[CloseEvent]>;
      socket.send("hello");
      assert.equal((await closing)[0].code, 1008);

      const flood = new WebSocket(`${ws}/v1/events/ws`);
      await once(flood, "open");
      const cut = once(flood, "close");
      flood.send("x".repeat(10_000));
      await cut;

      const upgrade = (headers: Record<string, string>, path = "/v1/events/ws") =>
        openSse(`${url}${path}`, {
          ...{ connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
          ...{ "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", ...headers },
        });
      const cases = [
        [await upgrade({ origin: "https://evil.example" }), 403],
        [await upgrade({ host: "evil.example" }), 403],
        [await upgrade({ authorization: "Bearer wrong" }), 401],
        [await upgrade({}, "/v1/events/ws?chain=delta"), 422],
        [await upgrade({}, "/v1/events/ws?token=start-up-token"), 400],
        [await openSse(`${url}/v1/events/ws`), 400],
      ] as const;
      assert.deepEqual(
        cases.map(([{ status }]) => status),
        cases.map(([, status]) => status),
      );
      for (const [each] of cases) each.close();
      client.close();
    }));

  it("are opened over a WebSocket by pages of the allowed origins and of the service, and by no others", () =>
    withServer(
      async ({ url }) => {
        const open = async (origin: string) => {
          const socket = connect(Number(new URL(url).port), "127.0.0.1");
          const lines = [
            ...["GET /v1/events/ws HTTP/1.1", `host: ${new URL(url).host}`, `authorization: Bearer ${token}`],
            ...["connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13"],
            ...["sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", `origin: ${origin}`],
          ];
          socket.write(`${lines.join("\r\n")}\r\n\r\n`);
          const [answer] = await once(socket, "data");
          socket.destroy();
          return String(answer).slice(9, 12);
        };
        const origins = [page, url, `${page}:444`, "https://evil.example", "null"];
        assert.deepEqual(await Promise.all(origins.map(open)), ["101", "101", "403", "403", "403"]);
      },
      { pages: true },
    ));

  it("are described: both routes, with every type of event", () =>
    withServer(async ({ url }) => {
      const document = await answerOf(`${url}/openapi.json`);
      const { content } = document.paths["/v1/events"].get.responses[200];
      assert.deepEqual(Object.keys(content), ["text/event-stream"]);
      assert.ok(document.paths["/v1/events/ws"]);
      const described = Object.keys(document.components.schemas);
      for (const type of Object.keys(stored)) assert.ok(described.includes(`${type}Event`), type);
    }));
});
