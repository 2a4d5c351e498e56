import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { onServer, postgresAnswers, postgresServer } from "#test/support/databases.ts";
import { type Home, openNetwork } from "#test/support/network.ts";
import { startSentinels } from "#test/support/redisServers.ts";
import { hasProgram } from "#test/support/servers.ts";
import { until } from "#test/support/until.ts";
import { assertOnce } from "./lockFacts.ts";
import { openMarket } from "./market.ts";
import type { SwapAnswer } from "./requests.ts";

const here = hasProgram("redis-server", "redis") && (await postgresAnswers());
const skip = !here && "there is no program redis-server, or no PostgreSQL";
const timelocks = { source: 1_200, target: 900 };

describe("swaps under way while Sentinel fails over", { skip }, () => {
  it("complete once, though the new primary lacks what the old one acknowledged", { timeout: 240_000 }, async () => {
    const group = await startSentinels();
    const name = `lockstep_test_failover_${process.pid}`;
    const home: Home = {
      name: "PostgreSQL and Sentinel",
      async open() {
        await onServer(`CREATE DATABASE ${name}`);
        const env = { DATABASE_URL: new URL(name, postgresServer).href, REDIS_URL: group.url };
        return { env, proxies: new Map(), close: () => onServer(`DROP DATABASE ${name} WITH (FORCE)`) };
      },
    };
    const test = await openNetwork(home);
    try {
      const { network, api } = test;
      const market = await openMarket(test);
      const bodies: object[] = [];
      for (let made = 0; made < 6; made++) {
        const source = await market.leg("alpha", "native", network.accounts.alice?.address ?? "0x");
        const target = await market.leg("beta", "native", network.accounts.bob?.address ?? "0x");
        bodies.push({ source, target, initiator: { account: "alice" }, counterparty: { account: "bob" }, timelocks });
      }
      const request = (all: typeof bodies) => Promise.all(all.map((body) => api.post<SwapAnswer>("/v1/swaps", body)));
      const early = await request(bodies.slice(0, 3));
      // From here on the replica is cut off, and what the primary takes is lost with it.
      await group.primary.ask(async (redis) => {
        await redis.config("SET", "requirepass", "another");
        await redis.call("CLIENT", "KILL", "TYPE", "replica");
      });
      const late = await request(bodies.slice(3));
      await until(async () => {
        const [first] = await Promise.all(late.map(({ id }) => api.get<SwapAnswer>(`/v1/swaps/${id}`)));
        return first?.source.state !== "none";
      });
      await group.primary.end("SIGKILL");
      const done = ({ status }: SwapAnswer) => status === "completed";
      const ended = [...early, ...late].map(({ id }) => api.until<SwapAnswer>(`/v1/swaps/${id}`, done, 120_000));
      await assertOnce(network, await Promise.all(ended));
      assert.equal(await group.primaryPort(), group.replica.port);
    } finally {
      await test.close();
      await group.close();
    }
  });
});
