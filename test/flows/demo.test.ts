import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { hexToBytes } from "viem";
import type { DemoReport } from "#app/commands/demo.ts";
import { startEmbeddedDatabase } from "#core/db/embedded/embedded.ts";
import { createDb } from "#core/db/postgres.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer } from "#core/kernel/seal.ts";
import { createSecretStore } from "#swap/secrets.ts";
import { quietLog } from "#test/support/databases.ts";
import { allRows, assertNowhere, formsOfKey, keysFolder, type TextRow } from "#test/support/leaks.ts";

const main = fileURLToPath(new URL("../../app/main.ts", import.meta.url));

type EventRow = { position: bigint; stream: string; type: string; data: string };

describe("a full run of the demo", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "lockstep-demo-test-"));
  // Most of it is waiting for timelocks, so it runs beside the tests that come before.
  const printed = Promise.allSettled([runDemo(dataDir)]);
  let report: DemoReport;
  let events: EventRow[];
  /** Every row of every table, as text. */
  let rows: TextRow[];
  let secrets: { hashlock: string; secret: Hex }[];

  before(async () => {
    const [ended] = await printed;
    if (ended.status === "rejected") throw ended.reason;
    report = JSON.parse(ended.value) as DemoReport;
    ({ events, rows, secrets } = await readDatabase(dataDir));
  });
  after(() => rmSync(dataDir, { recursive: true, force: true }));

  it("ends well, with every balance as it should be", () => {
    assert.deepEqual(report.failures, []);
    assert.equal(report.ok, true);
    assert.deepEqual(
      report.messages.map(({ status }) => status),
      ["delivered", "delivered"],
    );
    assert.deepEqual(
      report.swaps.map(({ status }) => status),
      ["completed", "refunded", "refunded"],
    );
    const steps = report.swaps[0]?.steps.map(({ name }) => name);
    assert.deepEqual(steps, ["lock-source", "lock-target", "claim-target", "claim-source"]);
    for (const { gasUsed, latencyMs } of report.swaps.flatMap((swap) => swap.steps))
      assert.ok(gasUsed > 21_000 && (latencyMs ?? 0) > 0, JSON.stringify(report.swaps));
    for (const { latencyMs } of report.messages) assert.ok(latencyMs > 0);
  });

  it("leaves no private key anywhere but in the key folder", () => {
    const keys = readdirSync(join(dataDir, keysFolder)).map(
      (name) => readFileSync(join(dataDir, keysFolder, name), "utf8").trim() as Hex,
    );
    assert.ok(keys.length >= 9, "the relayer, the parties, the validators, the deployer and the sealing key");
    for (const key of keys) assertNowhere(dataDir, rows, formsOfKey(key));
  });

  it("leaves a secret that was never revealed nowhere but sealed", () => {
    const hidden = secrets.filter(({ hashlock }) => !revealPosition(hashlock));
    assert.equal(hidden.length, 2);
    for (const { secret } of hidden) assertNowhere(dataDir, rows, formsOfKey(secret));
  });

  it("shows a revealed secret only in what came after its RevealStarted, and in no log", () => {
    const shown = secrets.filter(({ hashlock }) => revealPosition(hashlock));
    assert.equal(shown.length, 1);
    for (const { hashlock, secret } of shown) {
      const revealed = revealPosition(hashlock) ?? 0n;
      const bare = secret.slice(2);
      const telling = events.filter(({ data }) => data.includes(bare));
      assert.ok(telling.length > 0 && telling.every(({ position }) => position > revealed));
      for (const log of readdirSync(join(dataDir, "logs"))) {
        assert.ok(!readFileSync(join(dataDir, "logs", log), "utf8").includes(bare), `${log} has the secret`);
      }
    }
  });

  function revealPosition(hashlock: string): bigint | undefined {
    const { stream } = events.find(({ type, data }) => type === "SwapRequested" && data.includes(hashlock)) ?? {};
    return events.find((event) => event.stream === stream && event.type === "RevealStarted")?.position;
  }
});

/** What a demo on this folder prints. */
async function runDemo(dataDir: string): Promise<string> {
  const env = { ...process.env, DATABASE_URL: "", REDIS_URL: "", LOCKSTEP_LOG_LEVEL: "trace" };
  const args = [main, "demo", "--json", "--data-dir", dataDir];
  return (await promisify(execFile)(process.execPath, args, { env })).stdout;
}

async function readDatabase(dataDir: string) {
  const embedded = await startEmbeddedDatabase({ log: quietLog, dataDir: join(dataDir, "db") });
  const db = createDb({ connectionString: embedded.connectionString, log: quietLog });
  try {
    const events = await db.query<EventRow>(
      "select position, stream, type, data::text as data from events order by position",
    );
    const rows = await allRows(db);
    const sealing = readFileSync(join(dataDir, keysFolder, "sealing.key"), "utf8").trim() as Hex;
    const store = createSecretStore({ sealer: createSealer(redact(hexToBytes(sealing))) });
    const hashlocks = await db.query<{ hashlock: Hex }>("select hashlock from swap_secrets");
    const secrets: { hashlock: string; secret: Hex }[] = [];
    for (const { hashlock } of hashlocks) secrets.push({ hashlock, secret: (await store.open(db, hashlock)).reveal() });
    return { events, rows, secrets };
  } finally {
    await db.close();
    await embedded.close();
  }
}
