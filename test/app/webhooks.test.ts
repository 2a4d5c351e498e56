import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { it } from "node:test";
import { shownKinds } from "#app/api/eventRoutes.ts";
import { createWebhookRoutes } from "#app/api/webhooks.ts";
import { createDeliverer } from "#app/webhooks/deliverer.ts";
import { failWebhook, listWebhooks, moveWebhook, takeWebhook, webhookMigrations } from "#app/webhooks/tables.ts";
import { openTarget, sealedTargets } from "#app/webhooks/target.ts";
import { migrate } from "#core/db/migrate.ts";
import { createReseal } from "#core/db/reseal.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { createShow } from "#core/events/shown.ts";
import { createOutbound } from "#core/http/outbound.ts";
import { createHttpServer } from "#core/http/server.ts";
import { fixed } from "#core/kernel/live.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer } from "#core/kernel/seal.ts";
import { relayEvents } from "#relay";
import { quietLog as log, onDatabase, withDatabase } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";

type Delivery = { readonly body: string; readonly headers: IncomingHttpHeaders };

/** A receiver that answers what it is told to, and keeps what it answered 200 for. */
async function startReceiver() {
  const taken: Delivery[] = [];
  let [status, asked] = [200, 0];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    asked += 1;
    if (status === 200) taken.push({ body, headers: request.headers });
    response.writeHead(status, { location: "http://169.254.169.254/" }).end("thanks");
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    ...{ taken, host },
    asked: () => asked,
    answer: (next: number) => {
      status = next;
    },
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

await onDatabase("webhooks", (backend) => {
  const withWebhooks = (work: (world: Awaited<ReturnType<typeof build>>) => Promise<void>) =>
    withDatabase(backend, async (database) => {
      const world = await build(database);
      try {
        await work(world);
      } finally {
        await world.close();
      }
    });

  async function build({ db }: Parameters<Parameters<typeof withDatabase>[1]>[0]) {
    await migrate(db, [...eventMigrations, ...webhookMigrations]);
    const store = createEventStore({ db, schemas: relayEvents, log });
    const receiver = await startReceiver();
    let shift = 0;
    const clock = {
      now: () => Date.now() + shift,
      sleep: (ms: number, signal?: AbortSignal) => pause(Math.min(ms, 20), signal),
    };
    const sealer = createSealer(redact(new Uint8Array(32).fill(7)));
    const reach = { ports: [443], allowHosts: [receiver.host], timeoutMs: 2_000 };
    const show = createShow({ kinds: shownKinds, store, db });
    const deliverers: ReturnType<typeof createDeliverer>[] = [];
    const start = (own = sealer) => {
      const deps = { db, store, show, sealer: own, outbound: createOutbound(reach), clock, log };
      const deliverer = createDeliverer({ ...deps, attempts: 3, holdMs: 10_000 });
      deliverers.push(deliverer);
      deliverer.start();
    };
    const app = await createHttpServer({ log, title: "t", version: "1", description: "d" });
    const registry = { chains: fixed({ alpha: {}, beta: {} }), lanes: fixed({}) } as unknown as Parameters<
      typeof createWebhookRoutes
    >[0]["registry"];
    const outbound = createOutbound(reach);
    await createWebhookRoutes({ db, store, registry, sealer, outbound, clock, maxWebhooks: 2, wake: () => undefined })(
      app,
    );
    start();
    start();
    // biome-ignore lint/suspicious/noExplicitAny: whatever a server answers
    const ask = async (method: "GET" | "POST" | "DELETE", url: string, payload?: object): Promise<any> =>
      (await app.inject({ method, url, ...(payload && { payload }) })).json();
    let written = 0;
    const write = async (count: number) => {
      for (let index = 0; index < count; index += 1) {
        const events = [{ type: "MessageAbandoned", data: { origin: "alpha", destination: "beta" } }];
        await db.tx((tx) => store.append(tx, [{ stream: `message-${written}`, expected: 0, events }]));
        written += 1;
      }
    };
    return {
      ...{
        db,
        receiver,
        ask,
        write,
        deliverers,
        start,
        sealer,
        now: clock.now,
        url: `http://${receiver.host}/hook?key=hunter2`,
      },
      pass: (ms: number) => {
        shift += ms;
      },
      async close() {
        for (const each of deliverers) await each.stop();
        await app.close();
        await receiver.close();
      },
    };
  }
  const pause = (ms: number, signal?: AbortSignal) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      signal?.addEventListener("abort", () => timer.close() && resolve(), { once: true });
    });
  const idsOf = (taken: readonly Delivery[]) => taken.map(({ body }) => Number(JSON.parse(body).id));

  it("get each event once and in order, signed, while two processes deliver", () =>
    withWebhooks(async ({ ask, write, receiver, url, db }) => {
      const { secret, webhook } = await ask("POST", "/v1/webhooks", { url });
      await write(20);
      await until(() => receiver.taken.length >= 20);
      assert.deepEqual(
        idsOf(receiver.taken),
        Array.from({ length: 20 }, (_, index) => index + 1),
      );
      for (const { body, headers } of receiver.taken) {
        const [, t = "", v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers["lockstep-signature"])) ?? [];
        assert.equal(createHmac("sha256", Buffer.from(secret)).update(t).update(".").update(body).digest("hex"), v1);
        assert.ok(Math.abs(Number(t) - Date.now() / 1000) < 60);
        assert.equal(headers["lockstep-event-id"], JSON.parse(body).id);
      }
      const shown = await until(async () => {
        const found = await ask("GET", `/v1/webhooks/${webhook.id}`);
        return found.position === "20" && found;
      });
      // Neither the secret nor the key in the address is shown again, or lies in the database.
      const rows = JSON.stringify(
        await db.query("SELECT *, encode(sealed, 'escape') AS text FROM webhooks"),
        (_, value) => (typeof value === "bigint" ? String(value) : value),
      );
      for (const text of [JSON.stringify(shown), rows]) {
        assert.ok(!text.includes("hunter2"));
        assert.ok(!text.includes(secret));
      }
    }));

  it("are tried again, stop for good with the reason, and go on where they stopped or from an earlier event", () =>
    withWebhooks(async ({ ask, write, receiver, url, pass }) => {
      const { webhook } = await ask("POST", "/v1/webhooks", { url, filter: { kind: ["message"] } });
      const path = `/v1/webhooks/${webhook.id}`;
      await write(2);
      await until(() => receiver.taken.length === 2);
      receiver.answer(302);
      await write(2);
      const dead = await until(async () => {
        pass(5_000);
        const found = await ask("GET", path);
        return found.state === "dead" && found;
      });
      assert.deepEqual([dead.reason, dead.failures, dead.position], ["status 302", 3, "2"]);
      assert.equal(receiver.asked(), 5);
      receiver.answer(200);
      await ask("POST", `${path}/resume`, {});
      await until(() => receiver.taken.length === 4);
      await ask("POST", `${path}/resume`, { after: "1" });
      await until(() => receiver.taken.length === 7);
      assert.deepEqual(idsOf(receiver.taken), [1, 2, 3, 4, 2, 3, 4]);
      assert.equal((await ask("POST", `${path}/resume`, { after: "9" })).code, "event-position-unknown");
      await ask("DELETE", path);
      await write(1);
      assert.equal((await ask("GET", path)).code, "not-found");
    }));

  it("get what their filter lets through and no more, and come past the rest", () =>
    withWebhooks(async ({ ask, write, receiver, url }) => {
      const { webhook } = await ask("POST", "/v1/webhooks", { url, filter: { subject: "1" } });
      await write(3);
      await until(async () => (await ask("GET", `/v1/webhooks/${webhook.id}`)).position === "3");
      assert.deepEqual(idsOf(receiver.taken), [2]);
    }));

  it("are taken over when the process that has one was killed, with the event that was under way", () =>
    withWebhooks(async ({ ask, write, receiver, url, pass, deliverers, db, now, start }) => {
      for (const each of deliverers) await each.stop();
      const { webhook } = await ask("POST", "/v1/webhooks", { url });
      await write(3);
      // What a killed process leaves: it has the webhook, two events were taken, and the second was not written down.
      const hold = (holder: string) => ({ holder, now: new Date(now()), until: new Date(now() + 10_000) });
      const row = await takeWebhook(db, webhook.id, hold("killed"));
      assert.ok(row && (await moveWebhook(db, row, 1n, { ...hold("killed"), delivered: true })));
      assert.equal(await takeWebhook(db, webhook.id, hold("other")), undefined);
      pass(10_000);
      assert.ok(await takeWebhook(db, webhook.id, hold("other")));
      // Should it not be dead after all, it is told that it has the webhook no more.
      assert.equal(await moveWebhook(db, row, 3n, { ...hold("killed"), delivered: true }), false);
      await failWebhook(db, row, {
        ...{ holder: "killed", reason: "gone", at: new Date(), retryAt: new Date(), dead: true },
      });
      assert.equal((await ask("GET", `/v1/webhooks/${webhook.id}`)).state, "active");
      pass(10_000);
      start();
      await until(() => receiver.taken.length === 2);
      assert.deepEqual(idsOf(receiver.taken), [2, 3]);
    }));

  it("are dead, and say why, when no sealing key opens them; a rotation brings them under the new key", () =>
    withWebhooks(async ({ ask, write, receiver, url, deliverers, db, sealer, start }) => {
      for (const each of deliverers) await each.stop();
      const { webhook, secret } = await ask("POST", "/v1/webhooks", { url });
      const path = `/v1/webhooks/${webhook.id}`;
      await write(1);
      const key = redact(new Uint8Array(32).fill(8));
      start(createSealer(key));
      const dead = await until(async () => {
        const found = await ask("GET", path);
        return found.state === "dead" && found;
      });
      assert.deepEqual([dead.reason, dead.position], ["no configured sealing key opens its URL", "0"]);
      assert.equal(dead.failures, 1, "trying again opens nothing");
      assert.equal(receiver.asked(), 0);
      const both = createSealer(key, [redact(new Uint8Array(32).fill(7))]);
      const left = await createReseal({ db, sealer: both, tables: [sealedTargets] }).run();
      assert.deepEqual(left, [{ table: "webhooks", left: 0, unopened: 0 }]);
      const [row] = await listWebhooks(db);
      assert.equal(openTarget(createSealer(key), row!).secret.reveal(), secret);
      assert.throws(() => openTarget(sealer, row!));
      await ask("POST", `${path}/resume`, {});
      await until(() => receiver.taken.length === 1);
    }));

  it("refuse addresses in private networks, filters that nothing fits, and more than there may be", () =>
    withWebhooks(async ({ ask, url }) => {
      for (const bad of ["https://10.0.0.1/", "http://example.com/", "https://[::1]/", "https://2130706433/"]) {
        const problem = await ask("POST", "/v1/webhooks", { url: bad });
        assert.deepEqual([problem.code, problem.field], ["url-refused", "url"], bad);
      }
      assert.equal((await ask("POST", "/v1/webhooks", { url, filter: { chain: "delta" } })).code, "chain-unknown");
      assert.equal((await ask("POST", "/v1/webhooks", { url, filter: { kind: ["parcel"] } })).code, "request-invalid");
      for (const code of [undefined, undefined, "webhooks-full"])
        assert.equal((await ask("POST", "/v1/webhooks", { url })).code, code);
    }));
});
