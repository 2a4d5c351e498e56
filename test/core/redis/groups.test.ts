import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { createRedisNonces } from "#core/http/credentials/nonces.ts";
import { createRedisBuckets } from "#core/http/rate/redis.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { createQueue } from "#core/queue/bullQueue.ts";
import { readRedisFacts } from "#core/queue/redisFacts.ts";
import { connectRedis } from "#core/redis/connect.ts";
import { testCertificates } from "#test/support/certificates.ts";
import { quietLog } from "#test/support/databases.ts";
import { sentinelPasswords, startCluster, startSentinels } from "#test/support/redisServers.ts";
import { freePort, hasProgram, startRedis } from "#test/support/servers.ts";
import { until } from "#test/support/until.ts";

const withoutRedis = !hasProgram("redis-server", "redis") && "there is no program redis-server";
const quick = { stalledMs: 1_000, backoff: { firstMs: 20, maxMs: 100 }, log: quietLog };
const limits = { perMinute: 1, burst: 3 };
const prefix = "test";

/** What has been worked on, and a queue that works. */
function openQueue(redisUrl: string, names = ["test.one", "test.two", "test.three", "test.four"]) {
  const seen = new Set<unknown>();
  const queue = createQueue({ redisUrl, prefix, ...quick });
  const handlers = Object.fromEntries(names.map((name) => [name, async (data: unknown) => void seen.add(data)]));
  return {
    ...{ queue, seen, names },
    work: () => queue.work(handlers, { concurrency: 2 }),
    /** Asks until it is taken, as the outbox does. */
    async add(id: string) {
      for (const name of names) {
        await until(
          () =>
            queue.enqueue([{ id, name, data: `${name} ${id}` }]).then(
              () => true,
              () => false,
            ),
          "a job that is taken",
        );
      }
    },
    hasAll: (id: string) => names.every((name) => seen.has(`${name} ${id}`)),
  };
}

/** Rate limits are shared by two, and a nonce is good once at either. */
async function assertShared(url: string, round: string): Promise<void> {
  const buckets = [1, 2].map(() => createRedisBuckets({ url, prefix, log: quietLog, patienceMs: 5_000 }));
  const taken: boolean[] = [];
  for (let index = 0; index < 5; index++) {
    await until(
      () =>
        Promise.resolve(buckets[index % 2]?.take(`caller ${round}`, limits)).then(
          (found) => taken.push(found?.isAllowed ?? false) > 0,
          () => false,
        ),
      "a bucket that answers",
    );
  }
  assert.deepEqual(taken, [true, true, true, false, false]);
  const nonces = [1, 2].map(() => createRedisNonces({ url, prefix, clock: systemClock, log: quietLog }));
  const claims = nonces.map((each) => each.claim("key", `nonce ${round}`, Date.now() + 60_000));
  assert.deepEqual((await Promise.all(claims)).toSorted(), [false, true]);
  for (const each of [...buckets, ...nonces]) await each.close();
}

describe("Redis behind sentinels", { skip: withoutRedis }, () => {
  it("goes on with the replica when the primary is killed", { timeout: 60_000 }, async () => {
    const group = await startSentinels();
    const { queue, seen, work, add, hasAll } = openQueue(group.url);
    try {
      await work();
      await add("before");
      await until(() => hasAll("before"), "jobs that are done");
      await assertShared(group.url, "before");
      await group.primary.end("SIGKILL");
      await add("after");
      await until(() => hasAll("after"), "jobs that are done after the fail-over");
      assert.equal(await group.primaryPort(), group.replica.port);
      await assertShared(group.url, "after");
      assert.match((await readRedisFacts(group.url)).version, /^\d/);
      assert.equal(seen.size, 8);
    } finally {
      await queue.close();
      await group.close();
    }
  });

  it("loses what the replica never had, which may be asked for again", { timeout: 60_000 }, async () => {
    const group = await startSentinels();
    const { queue, seen, work, add, hasAll } = openQueue(group.url);
    const nonces = createRedisNonces({ url: group.url, prefix, clock: systemClock, log: quietLog });
    try {
      await add("kept");
      await nonces.claim("key", "earlier nonce", Date.now() + 60_000);
      await until(() => group.replica.ask(async (redis) => (await redis.dbsize()) > 0), "a replica that has it");
      // The replica is cut off and may not come back, while who is connected goes on.
      await group.primary.ask(async (redis) => {
        await redis.config("SET", "requirepass", "another");
        await redis.call("CLIENT", "KILL", "TYPE", "replica");
      });
      await add("lost");
      assert.equal(await nonces.claim("key", "nonce", Date.now() + 60_000), true);
      await group.primary.end("SIGKILL");
      await until(async () => (await group.primaryPort()) === group.replica.port, "a fail-over");
      await work();
      await until(() => hasAll("kept"), "jobs that the replica had");
      assert.ok(!hasAll("lost"));
      // This is what the security page says of it.
      const again = () => nonces.claim("key", "nonce", Date.now() + 60_000).catch(() => undefined);
      assert.equal(await until(again, "an answer"), true);
      assert.equal(await nonces.claim("key", "nonce", Date.now() + 60_000), false);
      await add("lost");
      await until(() => hasAll("lost"), "jobs that were asked for again");
      assert.equal(seen.size, 8);
    } finally {
      await nonces.close();
      await queue.close();
      await group.close();
    }
  });

  it("asks with passwords for both, and says so when one is wrong", { timeout: 60_000 }, async () => {
    const group = await startSentinels();
    try {
      const wrong = group.url.replace(encodeURIComponent(sentinelPasswords.data), "wrong");
      const worse = group.url.replace(encodeURIComponent(sentinelPasswords.sentinel), "wrong");
      for (const url of [wrong, worse]) {
        await assert.rejects(readRedisFacts(url), (error) => {
          assert.ok(error instanceof LockstepError && error.code === "queue-unreachable");
          assert.doesNotMatch(error.message, /pass of/);
          return true;
        });
      }
    } finally {
      await group.close();
    }
  });
});

describe("a Redis cluster", { skip: withoutRedis }, () => {
  it("works on jobs of all kinds, wherever their slots are", { timeout: 60_000 }, async () => {
    const cluster = await startCluster(0);
    const { queue, work, add, hasAll, names } = openQueue(cluster.url);
    try {
      await work();
      for (const id of ["a", "b", "c"]) await add(id);
      await until(() => ["a", "b", "c"].every(hasAll), "jobs that are done");
      const counts = await queue.counts(names);
      assert.deepEqual(counts.get("test.one"), { waiting: 0, active: 0, delayed: 0 });
      const homes = await Promise.all(names.map((name) => cluster.ownerOf(`{${prefix}.${name}}:${name}:meta`)));
      assert.ok(new Set(homes).size > 1, "queues are on several nodes");
      await assertShared(cluster.url, "one");
      assert.match((await readRedisFacts(cluster.url)).version, /^\d/);
    } finally {
      await queue.close();
      await cluster.close();
    }
  });

  it("goes on when the primary of a queue's slot is killed", { timeout: 60_000 }, async () => {
    const cluster = await startCluster(1);
    const { queue, work, add, hasAll, names } = openQueue(cluster.url);
    try {
      await work();
      await add("before");
      await until(() => hasAll("before"), "jobs that are done");
      const [name = ""] = names;
      const owner = await cluster.ownerOf(`{${prefix}.${name}}:${name}:meta`);
      await owner.end("SIGKILL");
      await add("after");
      await until(() => hasAll("after"), "jobs that are done after a node was lost");
      assert.notEqual(await cluster.ownerOf(`{${prefix}.${name}}:${name}:meta`), owner);
      await assertShared(cluster.url, "after");
    } finally {
      await queue.close();
      await cluster.close();
    }
  });
});

describe("Redis by TLS", { skip: withoutRedis }, () => {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-redis-tls-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const file = (name: keyof typeof testCertificates) => {
    const path = join(folder, name);
    writeFileSync(path, testCertificates[name]);
    return path;
  };

  it("trusts the authority that the URL names, and shows a certificate of its own", { timeout: 60_000 }, async () => {
    const port = await freePort();
    const args = ["--tls-port", String(port), "--tls-ca-cert-file", file("authority")];
    args.push("--tls-cert-file", file("serverCertificate"), "--tls-key-file", file("serverKey"));
    const server = await startRedis({ args });
    const own = `&cert=${file("clientCertificate")}&key=${file("clientKey")}`;
    const at = (query: string) => `rediss://127.0.0.1:${port}${query}`;
    try {
      const redis = connectRedis(at(`?ca=${file("authority")}${own}`), { once: true });
      redis.on("error", () => undefined);
      assert.equal(await redis.ping(), "PONG");
      redis.disconnect();
      for (const query of ["", `?ca=${file("authority")}`]) await assert.rejects(readRedisFacts(at(query)));
      assert.throws(() => connectRedis(at("?ca=/none")), /REDIS_URL: ca: the file cannot be read/);
    } finally {
      await server.stop();
    }
  });
});
