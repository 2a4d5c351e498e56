import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { createClient } from "#app/client/index.ts";
import { checkReplica } from "#app/doctor/stores.ts";
import { quietLog } from "#test/support/databases.ts";
import { startMember } from "#test/support/fleet.ts";
import { type Home, openNetwork } from "#test/support/network.ts";
import { startPostgres, startReplica } from "#test/support/postgresServers.ts";
import { hasProgram } from "#test/support/servers.ts";
import { until } from "#test/support/until.ts";

const skip = !hasProgram("pg_basebackup", "postgres") && "there are no programs of PostgreSQL";
const bare = { REDIS_URL: "", DATABASE_READ_URL: "" };

describe("two processes that read at a replica", { skip }, () => {
  it("show a client what it asked for and was told of, while the replica stands still", {
    timeout: 240_000,
  }, async () => {
    const primary = await startPostgres();
    const replica = await startReplica(primary);
    const home: Home = {
      name: "PostgreSQL with a replica",
      open: async () => ({
        env: { ...bare, DATABASE_URL: primary.url },
        proxies: new Map(),
        close: async () => undefined,
      }),
    };
    const test = await openNetwork(home);
    const env = { DATABASE_READ_URL: replica.url };
    try {
      const one = await startMember(test, "one", { roles: ["api"], env });
      const two = await startMember(test, "two", { roles: ["api"], env });
      const metric = async (url: string, line: string) => {
        const text = await (await fetch(`${url}/metrics`)).text();
        return text.split("\n").find((each) => each.startsWith(line));
      };
      const isUsed = async ({ url }: typeof one) =>
        (await metric(url, 'lockstep_read_replica_state{state="used"}'))?.endsWith(" 1");
      for (const member of [one, two]) await until(() => isUsed(member), "a replica that is used");
      const doctor = async (primaryUrl: string, replicaUrl: string) => {
        const env = { DATABASE_URL: primaryUrl, DATABASE_READ_URL: replicaUrl };
        return (await checkReplica(env, quietLog)).map(({ result, found }) => `${result}: ${found}`);
      };
      assert.deepEqual(await doctor(primary.url, replica.url), ["ok: it follows the database"]);
      assert.deepEqual(await doctor(primary.url, primary.url), ["warning: it follows no other server"]);
      assert.deepEqual(await doctor(primary.url.replace(/[^/]+$/, "template1"), replica.url), [
        "warning: it follows another server than DATABASE_URL",
      ]);
      await replica.ask("SELECT pg_wal_replay_pause()");
      const parties = { initiator: { account: "alice" }, counterparty: { account: "bob" } };
      const asset = { type: "native" as const };
      // Each asks the other process than the one before.
      let turn = 0;
      const client = createClient({
        url: one.url,
        authorize: () => ({}),
        fetch: async (input, init) => {
          const member = turn++ % 2 === 0 ? one : two;
          const { pathname, search } = new URL(String(input));
          const headers = new Headers(init?.headers);
          headers.set("authorization", `Bearer ${member.token}`);
          return fetch(new URL(pathname + search, member.url), { ...init, headers });
        },
      });
      const swap = await client.swaps.request({
        source: { chain: "alpha", asset, amount: "1000" },
        target: { chain: "beta", asset, amount: "2000" },
        ...parties,
      });
      for (let times = 0; times < 4; times++) {
        assert.equal((await client.swaps.get(swap.id)).id, swap.id);
        const { swaps } = await client.swaps.list({});
        assert.ok(swaps.some(({ id }) => id === swap.id));
      }
      const told = createClient({
        url: two.url,
        token: readFileSync(`${test.network.layout.dataDir}/two/token`, "utf8").trim(),
      });
      let followed = 0;
      for await (const event of told.events({ after: "0", kind: ["swap"] })) {
        const seen = await told.swaps.get(event.subject);
        assert.ok(seen.timeline.length > 0);
        if (++followed === 3) break;
      }
      // A stranger's first question is answered by the replica, which does not know the swap.
      const answer = await fetch(`${one.url}/v1/messages`);
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get("lockstep-position") ?? "", /^\d+\.\d+$/);
      await replica.ask("SELECT pg_wal_replay_resume()");
      await client.swaps.until(swap.id, ({ status }) => status === "completed", { timeoutMs: 120_000 });
      for (const member of [one, two]) await until(() => isUsed(member), "a replica that is used");
      await until(async () => {
        await fetch(`${two.url}/v1/swaps`);
        return /[1-9]/.test((await metric(two.url, 'lockstep_reads_total{place="replica"}'))?.split(" ")[1] ?? "");
      });
      await replica.end("SIGQUIT");
      const ready = async () =>
        (await (await fetch(`${two.url}/health/ready`)).json()) as { status: string; checks: Check[] };
      const warned = await until(async () => {
        assert.equal((await client.swaps.get(swap.id)).status, "completed");
        const found = await ready();
        return found.checks.some(({ warning }) => warning === "it is away; reads go to the primary") && found;
      });
      assert.equal(warned.status, "ready");
      assert.match((await doctor(primary.url, replica.url)).join(), /^warning: (?!it follows)/);
      for (const member of [one, two]) assert.equal(await member.stop(), 0);
    } finally {
      await test.close();
      for (const server of [replica, primary]) await server.stop();
    }
  });
});

type Check = { name: string; warning?: string };
