import assert from "node:assert/strict";
import { it } from "node:test";
import { createDb } from "#core/db/postgres.ts";
import type { Json } from "#core/kernel/json.ts";
import { deliverJob, settleJob } from "#relay/jobs.ts";
import { advanceBatchJob, advanceJob } from "#swap/jobs.ts";
import { quietLog } from "#test/support/databases.ts";
import { forEachHome, shareNetwork } from "#test/support/network.ts";
import { until } from "#test/support/until.ts";
import { openJobs } from "./jobs.ts";
import { assertOnce } from "./lockFacts.ts";
import { messageRequest, type SwapAnswer, swapRequest } from "./requests.ts";

const kinds = [deliverJob, settleJob, advanceJob, advanceBatchJob, "watch.advance"];
const timeoutMs = 60_000;

await forEachHome("jobs that nobody asked for", (home) => {
  // Somebody else can reach these queues; that of the embedded database is the service's own.
  if (home.name === "the embedded database") return;
  const open = shareNetwork(home);

  it("make nothing happen but a look, and keep nothing else from being done", async () => {
    const test = open();
    const { network, api, env } = test;
    const done = await api.post<SwapAnswer>("/v1/swaps", swapRequest(network));
    const sent = await api.post<{ id: string }>("/v1/messages", messageRequest(network));
    await api.until<SwapAnswer>(`/v1/swaps/${done.id}`, ({ status }) => status === "completed", timeoutMs);
    await api.until<{ status: string }>(`/v1/messages/${sent.id}`, ({ status }) => status === "delivered", timeoutMs);
    const db = createDb({ connectionString: env.DATABASE_URL ?? "", log: quietLog });
    const jobs = openJobs(test, kinds);
    const facts = () =>
      db.query(
        `SELECT (SELECT count(*) FROM events WHERE type NOT LIKE 'Watch%') AS events, (SELECT count(*) FROM sender_intent) AS intents,
           (SELECT count(*) FROM swap_secrets) AS secrets`,
      );
    try {
      // What was asked for has come to rest.
      let before = JSON.stringify(await facts(), big);
      await until(async () => {
        const now = JSON.stringify(await facts(), big);
        const rest = now === before && (await jobs.waiting()) === 0;
        before = now;
        return rest;
      }, "nothing is under way");
      const names = ["", "nobody", done.id, sent.id, `swap-${done.id}`, "swapbatch-none", "alpha→beta", "a→b→c", "\n"];
      const payloads: Json[] = [
        ...[null, 7, "text", [], {}, { __proto__: null, constructor: "x" }, { swap: 5 }, { swap: { a: 1 } }],
        { swap: "x".repeat(3_000_000) },
        ...names.flatMap((name) => [
          { swap: name },
          { batch: name },
          { watch: name },
          { lane: name },
          { message: name, intent: `intent-${name}` },
          { message: sent.id, intent: name },
          { swap: name, secret: "0x00" },
        ]),
      ];
      for (const queue of jobs.queues) {
        for (const payload of payloads) await queue.add("forged", { payload });
        await queue.add("forged", "no envelope");
      }
      await until(async () => (await jobs.waiting()) === 0, "all were looked at, and none is tried again", timeoutMs);
      assert.equal(JSON.stringify(await facts(), big), before);
    } finally {
      await Promise.all(jobs.queues.map((queue) => queue.close()));
      await jobs.disconnect();
      await db.close();
    }
    const later = await api.post<SwapAnswer>("/v1/swaps", swapRequest(network));
    const ended = await api.until<SwapAnswer>(
      `/v1/swaps/${later.id}`,
      (swap) => swap.status === "completed",
      timeoutMs,
    );
    await assertOnce(
      network,
      [done, ended].map((swap) => ({ ...swap, status: "completed" })),
    );
  });
});

const big = (_key: string, value: unknown) => (typeof value === "bigint" ? String(value) : value);
