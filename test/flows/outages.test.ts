import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, it } from "node:test";
import { Redis } from "ioredis";
import pg from "pg";
import type { MessageAnswer } from "#app/demo/api.ts";
import { forEachHome, type Home, openNetwork, type TestNetwork } from "#test/support/network.ts";
import { startTcpProxy, type TcpProxy } from "#test/support/tcpProxy.ts";
import { until } from "#test/support/until.ts";
import { chainFacts } from "./chainFacts.ts";
import { messageRequest } from "./requests.ts";

const volleys = 6;
const volley = 4;
const timeoutMs = 60_000;

/** The home behind proxies, each under the name of the variable that leads there. */
function behindProxies(home: Home, proxies: Map<string, TcpProxy>): Home {
  return {
    name: home.name,
    async open() {
      const stores = await home.open();
      const env = { ...stores.env };
      for (const [name, address] of Object.entries(env).filter(([, value]) => value !== "")) {
        const url = new URL(address);
        const proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
        proxies.set(name, proxy);
        url.port = String(proxy.port);
        env[name] = url.href;
      }
      return {
        env,
        async close() {
          await stores.close();
          for (const proxy of proxies.values()) await proxy.close();
        },
      };
    },
  };
}

await forEachHome("a service in a burst of messages", (home) => {
  // The embedded database has no way in from outside, and belongs to the service that started it.
  if (home.name.includes("embedded")) return;
  const proxies = new Map<string, TcpProxy>();
  let test: TestNetwork;
  before(async () => {
    test = await openNetwork(behindProxies(home, proxies));
  });
  after(() => test?.close());

  const ready = async () => (await fetch(`${test.network.api}/health/ready`)).ok;

  /**
   * Sends volleys of messages, with something happening right behind some of them and, behind others, at the first
   * delivery; sees to it that everything arrives once, in the same process.
   */
  async function survives(happen: () => Promise<void> | void): Promise<void> {
    const { network, api } = test;
    const recorded = chainFacts(network, "beta").recorded;
    const before = await recorded();
    let ended = false;
    void network.service.ended().then(() => {
      ended = true;
    });
    const sent: MessageAnswer[] = [];
    for (let fired = 0; fired < volleys; fired++) {
      const present = await recorded();
      const send = () => api.post<MessageAnswer>("/v1/messages", messageRequest(network));
      sent.push(...(await Promise.all(Array.from({ length: volley }, send))));
      const moves = () => until(async () => (await recorded()) > present, "messages are delivered", timeoutMs);
      if (fired % 2 === 1) await moves();
      await happen();
      await moves();
      await until(ready, "the service is ready again", timeoutMs);
    }
    const isDone = ({ status }: MessageAnswer) => ["delivered", "failed", "dropped"].includes(status);
    for (const { id } of sent) {
      assert.equal((await api.until<MessageAnswer>(`/v1/messages/${id}`, isDone, timeoutMs)).status, "delivered");
    }
    assert.equal(await recorded(), before + BigInt(volleys * volley));
    assert.equal(ended, false);
  }

  it("loses nothing when its queue is emptied", async () => {
    const queue = openJobs(test);
    let emptied = 0;
    let over = false;
    const emptying = until(
      async () => {
        emptied += await queue.empty();
        return over;
      },
      "the burst is over",
      2 * timeoutMs,
    );
    await survives(() => undefined).finally(() => {
      over = true;
    });
    await emptying;
    await queue.close();
    assert.ok(emptied > 0, "no job was ever met");
  });

  it("loses nothing when its connections to the stores are cut", async () => {
    const accepted = () => [...proxies.values()].map((proxy) => proxy.accepted);
    const first = accepted();
    await survives(() => {
      for (const proxy of proxies.values()) proxy.cut();
    });
    for (const [index, count] of accepted().entries()) assert.ok(count >= (first[index] ?? 0) + volleys);
  });

  it("loses nothing when the database is away for a while", () =>
    survives(async () => {
      const proxy = proxies.get("DATABASE_URL");
      assert.ok(proxy);
      proxy.refuse();
      await until(async () => !(await ready()), "the service misses its database", timeoutMs);
      proxy.admit();
    }));
});

type Jobs = {
  /** Throws away every job, as an operator might; answers how many there were. */
  empty(): Promise<number>;
  close(): Promise<void>;
};

function openJobs({ env, network }: TestNetwork): Jobs {
  const { queuePrefix } = JSON.parse(readFileSync(network.layout.service, "utf8")) as { queuePrefix: string };
  if (env.REDIS_URL) {
    const redis = new Redis(env.REDIS_URL);
    return {
      async empty() {
        const keys = await redis.keys(`${queuePrefix}*`);
        if (keys.length > 0) await redis.del(...keys);
        // What workers and queues keep about themselves is deleted as well, but does not count.
        return keys.filter((key) => /:j-[^:]*$/.test(key)).length;
      },
      close: async () => void (await redis.quit()),
    };
  }
  const pool = new pg.Pool({ connectionString: env.DATABASE_URL, max: 1 });
  return {
    async empty() {
      const { rowCount } = await pool.query("DELETE FROM bullmq.job WHERE starts_with(queue, $1)", [queuePrefix]);
      return rowCount ?? 0;
    },
    close: () => pool.end(),
  };
}
