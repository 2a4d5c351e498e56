import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { MessageAnswer } from "#app/demo/api.ts";
import { onServer, postgresServer } from "#test/support/databases.ts";
import { forEachHome, type Home, openNetwork, type TestNetwork } from "#test/support/network.ts";
import { until as untilTrue } from "#test/support/until.ts";
import {
  assertNothingLost,
  commanded,
  loseDatabase,
  readLocks,
  readMessages,
  runCommand,
  runWith,
} from "./disaster.ts";
import { messageRequest, type SwapAnswer, swapRequest } from "./requests.ts";

const timeoutMs = 60_000;
const ends = ["completed", "refunded", "failed", "initiatorLost", "counterpartyLost"];
/** Nothing that is held on purpose comes near a deadline. */
const timelocks = { source: 1_200, target: 900 };

type Made = { id: string; position: string; rows: Record<string, number> };

/** What is asked of a network, and held where a case wants it. */
function createScript(test: TestNetwork) {
  const { network, api } = test;
  async function call<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> {
    const response = await fetch(`${network.api}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${network.token()}`,
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as T };
  }
  const swap = (counterparty: string, more: object = { timelocks }) =>
    api.post<SwapAnswer>("/v1/swaps", { ...swapRequest(network), counterparty: { account: counterparty }, ...more });
  const message = (payload: string) => api.post<MessageAnswer>("/v1/messages", { ...messageRequest(network), payload });
  const until = (id: string, done: (each: SwapAnswer) => boolean) =>
    api.until<SwapAnswer>(`/v1/swaps/${id}`, done, timeoutMs);
  return {
    ...{ call, swap, message, until },
    ended: (id: string) => until(id, ({ status }) => ends.includes(status)),
    delivered: (id: string) =>
      api.until<MessageAnswer>(`/v1/messages/${id}`, ({ status }) => status === "delivered", timeoutMs),
    /** Transactions of these kinds are asked for on the chain and not sent; without kinds all are sent as ever. */
    async ceilings(chain: string, ...kinds: string[]): Promise<void> {
      const feeCeilings = kinds.length > 0 ? Object.fromEntries(kinds.map((kind) => [kind, "1"])) : null;
      const { status, body } = await call("PATCH", `/v1/chains/${chain}`, { feeCeilings });
      assert.equal(status, 200, JSON.stringify(body));
    },
  };
}

async function inNetwork(home: Home, work: (test: TestNetwork, file: string) => Promise<void>): Promise<void> {
  const test = await openNetwork(home);
  const file = join(tmpdir(), `lockstep-test-${process.pid}-${Date.now()}.backup`);
  try {
    await work(test, file);
  } finally {
    await test.close();
    rmSync(file, { force: true });
  }
}

/** Everything but the backup, the configuration and the chains is gone; then the service is there again. */
async function loseAndRestore(test: TestNetwork, file: string): Promise<void> {
  await test.network.service.kill();
  await loseDatabase(test);
  await commanded(test, "backup", "verify", file);
  await commanded(test, "backup", "restore", file);
  const again = await runCommand(test, "backup", "restore", file);
  assert.match(again.err, /database-not-empty/);
  await test.network.service.start();
}

/** A backup that is made under another key than what is in it could be restored by nobody. */
async function refuseOtherKey(test: TestNetwork, file: string): Promise<void> {
  const settings = JSON.parse(readFileSync(test.network.layout.service, "utf8"));
  const [config, key] = [`${file}.json`, `${file}.key`];
  writeFileSync(key, `0x${"5".repeat(64)}`, { mode: 0o600 });
  writeFileSync(config, JSON.stringify({ ...settings, sealingKey: { file: key } }));
  try {
    const refused = await runWith(test, { config }, "backup", "create", file);
    assert.equal(refused.code, 78, refused.err);
    assert.match(refused.err, /rows of \w+ open with none of the configured keys/);
    assert.ok(!existsSync(file));
    if (!test.env.DATABASE_URL) return;
    const { checks } = JSON.parse((await runWith(test, { config }, "doctor", "--json")).out);
    assert.equal(checks.find(({ name }: { name: string }) => name === "sealing key")?.result, "error");
  } finally {
    for (const each of [config, key]) rmSync(each);
  }
}

type Replay = { events: object[]; rows: Record<string, Record<string, unknown>[]> };
type Check = { differences: { table: string; key: string; live?: object; replayed?: object }[] };

/** The read models are as their events make them, also those of a backup; what somebody changes in them is found. */
async function checkReplays(test: TestNetwork, the: { file: string; made: Made; early: string; asked: string }) {
  assert.deepEqual((await commanded<Check>(test, "replay", "--check")).differences, []);
  assert.deepEqual((await commanded<Check>(test, "replay", "--check", "--file", the.file)).differences, []);
  const then = ["replay", "--file", the.file, "--subject", the.asked];
  const { rows } = await commanded<Replay>(test, ...then, "--until", the.made.position);
  assert.equal(rows.swap_legs?.find(({ leg }) => leg === "source")?.lock_block, null);
  const before = await runCommand(test, "replay", "--subject", the.early, "--until", "1");
  assert.match(before.out, /SwapRequested/);
  assert.doesNotMatch(before.out, /LegDetected/);
  const url = test.env.DATABASE_URL;
  if (!url) return;
  await onServer(
    `UPDATE lockstep.swap_legs SET amount = amount + 1 WHERE swap_id = '${the.early}' AND leg = 'target'`,
    url,
  );
  await onServer(
    "DELETE FROM lockstep.relay_runs WHERE position = (SELECT min(position) FROM lockstep.relay_runs)",
    url,
  );
  await onServer(
    `INSERT INTO lockstep.swaps (id, requested_at_position, hashlock, version) VALUES ('planted', 0, '0x', 1)`,
    url,
  );
  const found = await runCommand(test, "replay", "--check", "--json");
  assert.equal(found.code, 1);
  const { differences } = JSON.parse(found.out) as Check;
  const named = differences.map(({ table, live, replayed }) => [table, live !== undefined, replayed !== undefined]);
  assert.deepEqual(named.toSorted(), [
    ["relay_runs", false, true],
    ["swap_legs", true, true],
    ["swaps", true, false],
  ]);
}

const times = <T>(count: number, make: () => Promise<T>) => Promise.all(Array.from({ length: count }, make));
const lockTarget = ["swap.lock-target", "swap.lock-target-batch"];

// Most of it is waiting for timelocks, which two networks do as well at a time.
describe("restoring", { concurrency: true }, () =>
  forEachHome("a service that has lost everything but a backup", (home) => {
    if (home.name === "PostgreSQL and Redis") return;
    const isWhole = home.name === "PostgreSQL";

    it("ends what it had begun, before the backup and after it, and nothing twice", () =>
      inNetwork(home, async (test, file) => {
        const script = createScript(test);
        const early = await script.swap("carol");
        await script.ended(early.id);
        await script.ceilings("beta", ...lockTarget);
        const begun = await times(2, () => script.swap("bob", {}));
        for (const { id } of begun) await script.until(id, ({ source }) => source.state === "locked");
        await script.ceilings("alpha", "swap.lock-source", "relay.send");
        // So many that their counter-locks go in one batch, of which the backup knows nothing.
        const asked = await times(5, () => script.swap("carol"));
        const waiting = await Promise.all(["0x01", "0x02", "0x02"].map((payload) => script.message(payload)));
        await refuseOtherKey(test, file);
        const made = await commanded<Made>(test, "backup", "create", file);

        const late: SwapAnswer[] = [];
        if (isWhole) {
          for (const chain of ["alpha", "beta"]) await script.ceilings(chain);
          for (const { id } of waiting.slice(0, 2)) await script.delivered(id);
          for (const { id } of asked) await script.until(id, ({ target }) => target.state !== "none");
          await script.ended((await script.swap("dave", {})).id);
          await script.delivered((await script.message("0x03")).id);
          // Their secrets are lost with the database.
          await script.ceilings("beta", ...lockTarget);
          late.push(...(await times(2, () => script.swap("dave", {}))));
          for (const { id } of late) await script.until(id, ({ source }) => source.state === "locked");
        }
        const before = await readLocks(test);
        await loseAndRestore(test, file);

        if (isWhole) {
          const refused = await script.call<{ code: string }>("GET", `/v1/events?after=${BigInt(made.position) + 5n}`);
          assert.deepEqual([refused.status, refused.body.code], [410, "event-position-lost"]);
        }
        for (const chain of ["alpha", "beta"]) await script.ceilings(chain);
        for (const { id } of waiting) await script.delivered(id);
        assert.equal((await script.ended(early.id)).status, "completed");
        for (const { id } of asked) assert.equal((await script.ended(id)).status, isWhole ? "completed" : "failed");
        for (const { id } of begun) assert.ok(["completed", "refunded"].includes((await script.ended(id)).status));
        const { payloads, executed } = await readMessages(test);
        assert.deepEqual(payloads, { "0x01": 1, "0x02": 2, ...(isWhole && { "0x03": 1 }) });
        assert.deepEqual(
          executed,
          Object.values(payloads).flatMap((count) => Array.from({ length: count }, () => 1)),
        );
        // What nobody knows any more is found on the chain and given back.
        for (const { source } of late) {
          await untilTrue(
            async () => (await readLocks(test)).some(({ id, refunded }) => id === source.lockId && refunded === 1),
            "a refund",
            timeoutMs,
          );
        }
        const known = new Set(before.map(({ id }) => id));
        assert.deepEqual(
          (await readLocks(test)).filter(({ id }) => !known.has(id)),
          [],
          "nothing more was locked",
        );
        const fresh = await script.swap("dave");
        assert.equal((await script.ended(fresh.id)).status, "completed");
        await assertNothingLost(test);
        await checkReplays(test, { file, made, early: early.id, asked: asked[0]?.id ?? "" });
      }));

    if (!isWhole) return;

    it("ends where it was cut off meanwhile, and does nothing twice once it is started again", () =>
      inNetwork(home, async (test, file) => {
        const script = createScript(test);
        await script.ceilings("alpha", "relay.send");
        const { id } = await script.message("0x01");
        await commanded(test, "backup", "create", file);
        await script.ceilings("alpha");
        await script.delivered(id);
        const proxy = test.proxies.get("DATABASE_URL");
        const url = new URL(new URL(test.env.DATABASE_URL ?? "").pathname, postgresServer).href;
        const { service } = test.network;
        const ended = service.ended();
        proxy?.refuse();
        await loseDatabase(test);
        const restored = await runWith(test, { url }, "backup", "restore", file);
        assert.equal(restored.code, 0, restored.err);
        proxy?.admit();
        await ended;
        await service.start();
        await script.ceilings("alpha");
        await script.delivered(id);
        await script.delivered((await script.message("0x02")).id);
        assert.deepEqual((await readMessages(test)).payloads, { "0x01": 1, "0x02": 1 });
      }));
  }),
);
