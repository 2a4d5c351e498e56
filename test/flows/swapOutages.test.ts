import assert from "node:assert/strict";
import { it } from "node:test";
import { advanceBatchJob, advanceJob } from "#swap/jobs.ts";
import { forEachHome, shareNetwork } from "#test/support/network.ts";
import { redisUrl } from "#test/support/queues.ts";
import { until } from "#test/support/until.ts";
import { endSessions, openJobs } from "./jobs.ts";
import { assertOnce } from "./lockFacts.ts";
import { type AssetKind, assetKinds, openMarket } from "./market.ts";
import type { SwapAnswer } from "./requests.ts";

const count = 20;
const timeoutMs = 60_000;
/** No deadline is near, so whatever is not lost completes. */
const timelocks = { source: 1_200, target: 900 };

await forEachHome("twenty swaps under way", (home) => {
  // Of the two stores each can be lost by itself; the homes with one are tried with messages.
  if (home.name !== "PostgreSQL and Redis") return;
  const open = shareNetwork(home);

  it("complete once when their jobs are lost and all connections and sessions are cut, again and again", async () => {
    const test = open();
    const { network, api } = test;
    const market = await openMarket(test);
    const kindOf = (index: number): AssetKind => assetKinds[index % assetKinds.length] ?? "native";
    const parties = { initiator: { account: "alice" }, counterparty: { account: "bob" }, timelocks };
    const bodies: object[] = [];
    for (let made = 0; made < count; made++) {
      const source = await market.leg("alpha", kindOf(made), network.accounts.alice?.address ?? "0x");
      const target = await market.leg("beta", kindOf(Math.floor(made / 3)), network.accounts.bob?.address ?? "0x");
      bodies.push({ source, target, ...parties });
    }
    const before = [...test.proxies.values()].map(({ accepted }) => accepted);
    const swaps = await Promise.all(bodies.map((body) => api.post<SwapAnswer>("/v1/swaps", body)));
    const look = ({ id }: SwapAnswer) => api.get<SwapAnswer>(`/v1/swaps/${id}`).catch(() => undefined);
    const jobs = openJobs({ network, env: { REDIS_URL: redisUrl } }, [advanceJob, advanceBatchJob]);
    // A worker is quicker than whoever empties its queue, so it gets nothing to do until the cuts are over.
    await Promise.all(jobs.queues.map((queue) => queue.pause()));
    let lost = 0;
    // At each of these something of the service's stores is lost: when so many legs have been locked and ended.
    const moments = [0, 8, 16, 24, 32, 40, 48, 56, 64, 72];
    try {
      for (const [index, moment] of moments.entries()) {
        await until(
          async () => {
            const seen = await Promise.all(swaps.map(look));
            const legs = seen.flatMap((swap) => (swap ? [swap.source.state, swap.target.state] : []));
            const steps = legs.map((state) => (state === "none" ? 0 : state === "claimed" ? 2 : 1));
            return steps.reduce<number>((sum, each) => sum + each, 0) >= moment;
          },
          `${moment} steps are taken`,
          timeoutMs,
        );
        lost += await jobs.empty();
        for (const proxy of test.proxies.values()) proxy.cut();
        if (index % 2 === 0) await endSessions(test);
      }
      await until(async () => (await fetch(`${network.api}/health/ready`)).ok, "the service is ready", timeoutMs);
    } finally {
      await Promise.all(jobs.queues.map((queue) => queue.resume()));
      await Promise.all(jobs.queues.map((queue) => queue.close()));
      await jobs.disconnect();
    }
    const ended = await Promise.all(
      swaps.map(({ id }) =>
        api.until<SwapAnswer>(`/v1/swaps/${id}`, ({ status }) => status === "completed", timeoutMs),
      ),
    );
    assert.ok(lost >= moments.length, `${lost} jobs were lost`);
    await assertOnce(network, ended);
    for (const [index, { accepted }] of [...test.proxies.values()].entries()) {
      assert.ok(accepted >= (before[index] ?? 0) + moments.length / 2, "connections were cut");
    }
  });
});
