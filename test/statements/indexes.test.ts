import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { deserialize } from "node:v8";
import type { MessageAnswer } from "#app/demo/api.ts";
import { migrations } from "#app/stored.ts";
import { migrate } from "#core/db/migrate.ts";
import type { PostgresDb } from "#core/db/postgres.ts";
import { messageRequest, type SwapAnswer, swapRequest } from "#test/flows/requests.ts";
import { onPostgres, withDatabase } from "#test/support/databases.ts";
import { anyHome, type Home, openNetwork, type TestNetwork } from "#test/support/network.ts";
import { growing, seed } from "./seed.ts";

type Statement = { readonly text: string; readonly values: readonly unknown[] };
type Plan = { readonly "Node Type": string; readonly "Relation Name"?: string; readonly Plans?: readonly Plan[] };

const rows = 100_000;

/** Scans that are meant, of a table by words of the statement, and why. */
const meant: readonly { readonly table: string; readonly words: string; readonly why: string }[] = [
  {
    table: "relay_messages",
    words: "relay_messages WHERE failed_block IS NOT NULL AND executed_block IS NULL",
    why: "a migration, once",
  },
  ...["sender_attempt", "swap_secrets", "idempotency_keys"].map((table) => ({
    ...{
      table,
      words: "FROM 1 FOR $1) <> $2",
      why: "at the start, whether all opens with the key, and when it is rotated",
    },
  })),
  { table: "relay_failures", words: "AS still", why: "counts all failures, which are few, for metrics" },
];

await onPostgres("statements of the service", (backend) => {
  it("read no table that grows from end to end", { timeout: 300_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "lockstep-statements-"));
    const file = join(folder, "statements");
    try {
      await runService(file);
      const statements = readStatements(file);
      assert.ok(statements.length > 80, `only ${statements.length} were seen`);
      await withDatabase(backend, async ({ db }) => {
        await migrate(db, migrations);
        await seed(db, rows);
        const found: string[] = [];
        for (const statement of statements) {
          const isMeant = (each: string) =>
            meant.some(({ table, words }) => table === each && statement.text.includes(words));
          const scanned = (await scannedTables(db, statement)).filter((table) => !isMeant(table));
          if (scanned.length > 0) found.push(`${scanned.join(", ")}: ${statement.text.replace(/\s+/g, " ")}`);
        }
        assert.deepEqual(found, []);
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

/** A network at work, whose service notes its statements: messages, swaps, lists, metrics. */
async function runService(file: string): Promise<void> {
  const home = await anyHome();
  const noting: Home = {
    name: home.name,
    async open(dataDir) {
      const stores = await home.open(dataDir);
      const capture = fileURLToPath(new URL("capture.ts", import.meta.url));
      const env = { ...stores.env, NODE_OPTIONS: `--import=${capture}`, LOCKSTEP_TEST_STATEMENTS: file };
      return { ...stores, env };
    },
  };
  const test = await openNetwork(noting);
  try {
    await use(test);
  } finally {
    await test.close();
  }
}

async function use({ api, network }: TestNetwork): Promise<void> {
  const timeoutMs = 120_000;
  const message = await api.post<MessageAnswer & { onchainId?: string }>(
    "/v1/messages",
    messageRequest(network, "alpha", "beta"),
  );
  const swap = await api.post<SwapAnswer>("/v1/swaps", swapRequest(network));
  await api.until<MessageAnswer>(`/v1/messages/${message.id}`, ({ status }) => status === "delivered", timeoutMs);
  await api.until<SwapAnswer>(`/v1/swaps/${swap.id}`, ({ status }) => status === "completed", timeoutMs);
  for (const path of [
    ...[
      "/v1/messages",
      "/v1/messages?status=delivered",
      "/v1/messages?origin=alpha&cursor=9",
      "/v1/messages?deadLettered=true",
    ],
    ...["/v1/swaps", "/v1/swaps?status=completed", "/v1/swaps?chain=alpha", `/v1/swaps?address=0x${"1".repeat(40)}`],
    ...[
      "/v1/swaps?account=bob",
      "/v1/swaps?since=2026-01-01T00:00:00Z",
      "/v1/locks",
      "/v1/locks?state=open",
      "/v1/locks?chain=alpha",
    ],
    ...[
      "/v1/lanes",
      "/v1/validators",
      "/v1/chains",
      "/v1/instances",
      "/v1/leases",
      "/v1/audit",
      "/v1/desk",
      "/v1/bridges",
    ],
    ...[`/v1/messages/${message.id}`, `/v1/swaps/${swap.id}`],
  ]) {
    await api.get(path).catch(() => undefined);
  }
  const { text } = { text: await (await fetch(`${network.api}/metrics`)).text() };
  assert.ok(text.length > 0);
}

function readStatements(file: string): Statement[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  const all = lines.map((line) => deserialize(Buffer.from(line, "base64")) as Statement);
  const names = Object.keys(growing);
  const isOurs = ({ text }: Statement) =>
    /^\s*(select|insert|update|delete|with)\b/i.test(text) &&
    names.some((name) => new RegExp(`\\b${name}\\b`).test(text));
  return [...new Map(all.filter(isOurs).map((statement) => [statement.text, statement])).values()];
}

/** Tables that grow of which the plan reads all rows. Nothing is run. */
async function scannedTables(db: PostgresDb, { text, values }: Statement): Promise<string[]> {
  const { rows: answer } = await db.pool.query({ text: `EXPLAIN (FORMAT JSON) ${text}`, values: [...values] });
  const [{ Plan: plan }] = answer[0]["QUERY PLAN"] as [{ Plan: Plan }];
  const names = new Set<string>();
  const visit = (node: Plan): void => {
    const table = node["Relation Name"]?.replace(/^events_\d+$/, "events");
    if (node["Node Type"] === "Seq Scan" && table !== undefined && table in growing) names.add(table);
    for (const inner of node.Plans ?? []) visit(inner);
  };
  visit(plan);
  return [...names];
}
