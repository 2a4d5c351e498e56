import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { backupPlan } from "#app/backup/plan.ts";
import { migrations } from "#app/stored.ts";
import { tablesOf } from "#core/backup/catalog.ts";
import { createBackup } from "#core/backup/create.ts";
import type { BackupKeys } from "#core/backup/manifest.ts";
import { readBackup } from "#core/backup/read.ts";
import { restoreBackup } from "#core/backup/restore.ts";
import { migrate } from "#core/db/migrate.ts";
import type { PostgresDb } from "#core/db/postgres.ts";
import { partitionOf } from "#core/events/partitionOf.ts";
import { createPartitions } from "#core/events/partitions.ts";
import { type ErrorCode, isLockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import { forEachDatabase, quietLog, withDatabase } from "#test/support/databases.ts";
import { createVirtualClock } from "#test/support/virtualClock.ts";

const folder = mkdtempSync(join(tmpdir(), "lockstep-test-backup-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const newFile = () => join(folder, `${files++}.backup`);
const key = () => redact(new Uint8Array(randomBytes(32)));
const keys: BackupKeys = [key()];
const nothing = { manifest: () => undefined, rows: () => undefined };
const refused = (code: ErrorCode, words?: RegExp) => (error: unknown) =>
  isLockstepError(error, code) && (words === undefined || words.test(error.message));

const create = (db: PostgresDb, file: string, used = migrations) =>
  createBackup({ db, migrations: used, plan: backupPlan, keys, program: "test", file, now: Date.now });
const restore = (db: PostgresDb, file: string, options: Partial<Parameters<typeof restoreBackup>[0]> = {}) =>
  restoreBackup({ db, migrations, plan: backupPlan, keys, file, after: "held", now: Date.now, ...options });

/** Rows with whatever is hard to write down. */
async function fill(db: PostgresDb, events = 1_234): Promise<void> {
  await db.query(
    `INSERT INTO events (position, stream, version, type, data, at)
     SELECT n, 'stream-' || n, 1, 'Nonsense', jsonb_build_object('text', E'line\\nfeed, "quotes", \\\\ and \\u2028', 'n', n),
            '2026-01-02 03:04:05.678912+00'::timestamptz + n * interval '1 s' FROM generate_series(1, $1::integer) AS n`,
    [events],
  );
  await db.query("UPDATE event_counter SET position = $1", [events]);
  await db.query("INSERT INTO swap_secrets VALUES ('0xab', $1), ('0xcd', $2)", [randomBytes(61), Buffer.alloc(0)]);
  await db.query("INSERT INTO indexer_checkpoint VALUES ('alpha', '0xgenesis', 7, 3, 6)");
  await db.query("INSERT INTO indexer_block VALUES ('alpha', 7, '0x07', ''), ('alpha', 8, '0x08', 'a,b')");
  await db.query(
    `INSERT INTO sender_intent (id, chain, account, kind, subject, call, gas, dry_run, nonce, state)
     VALUES ('one', 'alpha', 'alice', 'k', 's', '{"value":"115792089237316195423570985008687907853269984665640564039457584007913129639935"}',
             21000, true, 9223372036854775807, 'signed')`,
  );
  await db.query("INSERT INTO sender_attempt VALUES ('0xhash', DEFAULT, 'one', 7, 'call', 1e30, 0.5, '\\x00ff')");
  await db.query("INSERT INTO relay_runs VALUES (1, 'alpha', 'beta', '[3,9)')");
  await db.query(
    `INSERT INTO api_keys (id, kind, name, role, accounts, hash, created_at, created_by)
     VALUES ('k', 'bearer', '', 'viewer', ARRAY['a,b', 'c"d', ''], '\\x01', now(), 'x')`,
  );
  await db.query("INSERT INTO leases VALUES ('outbox', 'somebody', 12, now(), now() + interval '1 day')");
  await db.query("INSERT INTO lease_terms VALUES ('outbox', 12, 'somebody', now())");
}

/** All rows of all tables that are kept, as text. */
async function contentOf(db: PostgresDb, schema: string): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const { name, afterwards } of backupPlan.kept) {
    if (afterwards || name.startsWith("restore") || ["event_counter", "event_partitions"].includes(name)) continue;
    const rows = await db.query<{ text: string }>(`SELECT t::text AS text FROM ${schema}.${name} t ORDER BY 1`);
    found[name] = rows.map(({ text }) => text);
  }
  return found;
}

async function append(to: PostgresDb): Promise<bigint> {
  const [counter] = await to.query<{ position: bigint }>(
    "UPDATE event_counter SET position = position + 1 RETURNING position",
  );
  const position = counter?.position ?? 0n;
  await to.query("INSERT INTO events VALUES ($1, $2, 1, 'Nonsense', '{}', now())", [position, `stream-${position}`]);
  return position;
}

await forEachDatabase("a backup", (backend) => {
  /** A database with rows, its backup, and an empty one. */
  const withBackup = (
    work: (has: { db: PostgresDb; schema: string; file: string; empty: PostgresDb }) => Promise<void>,
  ) =>
    withDatabase(backend, async ({ db, schema }) => {
      await migrate(db, migrations);
      await fill(db);
      const file = newFile();
      await create(db, file);
      await withDatabase(backend, ({ db: empty }) => work({ db, schema, file, empty }));
    });

  it("brings every row back as it was, holds nothing that was held, and numbers what comes next anew", () =>
    withBackup(async ({ db, schema, file, empty }) => {
      const { resumesAfter, manifest, rows } = await restore(empty, file);
      assert.deepEqual(await contentOf(empty, empty.schema), await contentOf(db, schema));
      assert.deepEqual([manifest.position, rows.events], [1_234n, 1_234]);
      assert.ok(resumesAfter > 2n ** 40n);
      assert.deepEqual(await empty.query("SELECT position FROM event_counter"), [{ position: resumesAfter }]);
      assert.deepEqual(await empty.query("SELECT holder, term, until <= clock_timestamp() AS over FROM leases"), [
        { holder: null, term: 1_000_012n, over: true },
      ]);
      assert.deepEqual(await empty.query("SELECT * FROM lease_terms"), []);
      const [next] = await empty.query<{ place: bigint }>(
        `INSERT INTO sender_attempt VALUES ('0xnext', DEFAULT, 'one', 7, 'call', 1, 1) RETURNING place`,
      );
      assert.equal(next?.place, 2n);
      const [mark] = await empty.query("SELECT position, resumes_after, stays, ended_at FROM restores");
      assert.deepEqual(mark, { position: 1_234n, resumes_after: resumesAfter, stays: false, ended_at: null });
      assert.deepEqual(await empty.query("SELECT chain, height FROM restore_chains"), [{ chain: "alpha", height: 7n }]);
      await migrate(empty, migrations);
    }));

  it("brings the partitions of the events back, joined ones too, so that what comes next has its place", () =>
    withDatabase(backend, async ({ db, schema }) => {
      await migrate(db, migrations);
      await fill(db, 20);
      const clock = createVirtualClock(Date.now());
      const day = 86_400_000;
      const partitionsOf = (of: PostgresDb) => createPartitions({ db: of, clock, log: quietLog, stepMs: day });
      const turn = async (of: PostgresDb) => {
        await partitionsOf(of).keepUp();
        clock.advance(2 * day);
        await partitionsOf(of).keepUp();
        return append(of);
      };
      for (let turns = 0; turns < 3; turns++) await turn(db);
      const listed = (of: PostgresDb) => of.query("SELECT place, closed_at FROM event_partitions ORDER BY place");
      assert.equal((await listed(db)).length, 5);
      assert.ok((await partitionsOf(db).carryOver()) > 0, "the first are joined");
      const file = newFile();
      await create(db, file);
      await withDatabase(backend, async ({ db: empty }) => {
        const { resumesAfter } = await restore(empty, file);
        assert.deepEqual(await contentOf(empty, empty.schema), await contentOf(db, schema));
        await migrate(empty, migrations);
        for (let turns = 0; turns < 5; turns++) {
          assert.ok((await turn(db)) < resumesAfter, "what is lost since the backup");
        }
        const next = await append(empty);
        assert.ok(next > resumesAfter);
        assert.ok((await turn(empty)) > next);
        await partitionsOf(empty).carryOver();
        assert.deepEqual(
          (await listed(empty)).map(({ place }) => place),
          [0n, partitionOf(resumesAfter) + 1n, partitionOf(resumesAfter) + 2n],
        );
        assert.equal((await empty.query("SELECT 1 FROM events")).length, 20 + 3 + 2);
      });
    }));

  it("without an event has the partitions that the first ones need", () =>
    withDatabase(backend, async ({ db }) => {
      await migrate(db, migrations);
      const clock = createVirtualClock(Date.now());
      const partitionsOf = (of: PostgresDb) => createPartitions({ db: of, clock, log: quietLog, stepMs: 1 });
      await partitionsOf(db).keepUp();
      const file = newFile();
      await create(db, file);
      await withDatabase(backend, async ({ db: empty }) => {
        await restore(empty, file);
        for (let turns = 0; turns < 3; turns++) {
          await append(empty);
          clock.advance(1_000);
          await partitionsOf(empty).keepUp();
        }
        await partitionsOf(empty).carryOver();
        await append(empty);
      });
    }));

  it("that was made during a hold leaves one hold behind", () =>
    withBackup(async ({ file, empty }) => {
      await restore(empty, file);
      const again = newFile();
      await create(empty, again);
      await withDatabase(backend, async ({ db: third }) => {
        const { restore: id } = await restore(third, again);
        assert.deepEqual(await third.query("SELECT id FROM restores WHERE ended_at IS NULL"), [{ id }]);
        await withDatabase(backend, async ({ db: moved }) => {
          await restore(moved, again, { after: "moved" });
          assert.equal(
            (await moved.query("SELECT 1 FROM restores WHERE ended_at IS NULL")).length,
            1,
            "as it was left",
          );
        });
      });
    }));

  it("shows one moment, whatever is written meanwhile, and says what is in it", () =>
    withDatabase(backend, async ({ db, another }) => {
      await migrate(db, migrations);
      await fill(db);
      const file = newFile();
      const other = another();
      const [made] = await Promise.all([
        create(db, file),
        other.query("INSERT INTO swap_secrets VALUES ('0xee', '\\x00')"),
      ]);
      const found = await readBackup(file, nothing, keys);
      assert.deepEqual(found.rows, made.rows);
      assert.equal(statSync(file).mode & 0o777, 0o600);
      assert.equal(found.sealed, true);
      assert.deepEqual(found.manifest.chains, { alpha: "0xgenesis" });
      assert.deepEqual(
        readdirSync(folder).filter((name) => name.includes("part")),
        [],
      );
    }));

  it("is not restored over tables, nor where it is not whole: then nothing is there", () =>
    withBackup(async ({ db, file, empty }) => {
      await assert.rejects(restore(db, file), refused("database-not-empty"));
      const bytes = readFileSync(file);
      const lines = gunzipSync(bytes).toString().split("\n");
      const damaged: [string, Buffer, ErrorCode][] = [
        ["cut", bytes.subarray(0, bytes.length - 40), "backup-invalid"],
        ["a flipped bit", flipped(bytes), "backup-invalid"],
        ["no gzip", Buffer.from("nothing"), "backup-invalid"],
        ["a changed row", zipped(lines.map((line) => line.replace("stream-77", "stream-78"))), "backup-invalid"],
        ["a row less", zipped(lines.filter((line) => !line.includes("stream-99"))), "backup-invalid"],
        ["no end", zipped([...lines.slice(0, -2), ""]), "backup-invalid"],
        ["more behind the end", zipped([...lines.slice(0, -1), "{}", ""]), "backup-invalid"],
        [
          "another format",
          zipped([(lines[0] ?? "").replace('Backup":1', 'Backup":2'), ...lines.slice(1)]),
          "backup-invalid",
        ],
      ];
      for (const [what, content, code] of damaged) {
        const bad = newFile();
        writeFileSync(bad, content);
        await assert.rejects(restore(empty, bad), refused(code), what);
      }
      await assert.rejects(restore(empty, file, { keys: [key()] }), refused("backup-invalid", /sealing key/));
      await restore(empty, file, { keys: [key(), ...keys] });
    }));

  it("takes no other file's place, and says where it cannot be written", () =>
    withDatabase(backend, async ({ db }) => {
      await migrate(db, migrations);
      const there = newFile();
      writeFileSync(there, "the only one there is");
      await assert.rejects(create(db, there), refused("backup-unwritable", /there already/));
      assert.equal(readFileSync(there, "utf8"), "the only one there is");
      await assert.rejects(create(db, folder), refused("backup-unwritable", /there already/));
      await assert.rejects(create(db, join(folder, "none", "a.backup")), refused("backup-unwritable", /ENOENT/));
      const late = newFile();
      const now = () => {
        writeFileSync(late, "came meanwhile");
        return Date.now();
      };
      await assert.rejects(
        createBackup({ db, migrations, plan: backupPlan, keys, program: "test", file: late, now }),
        refused("backup-unwritable"),
      );
      assert.equal(readFileSync(late, "utf8"), "came meanwhile");
      assert.deepEqual(
        readdirSync(folder).filter((name) => name.includes(".part-")),
        [],
      );
    }));

  it("of a newer program is refused, and of an older one is brought up to date by the next start", () =>
    withBackup(async ({ file, empty }) => {
      await assert.rejects(restore(empty, file, { migrations: migrations.slice(1) }), refused("database-newer"));
      const changed = migrations.map((each, at) => (at === 1 ? { ...each, sql: `${each.sql} ` } : each));
      await assert.rejects(restore(empty, file, { migrations: changed }), refused("database-newer"));
      assert.deepEqual(await tablesOf(empty, empty.schema), []);
      const later = [
        ...migrations,
        { id: "restore/999-later", sql: "UPDATE swap_secrets SET hashlock = hashlock || '!'" },
      ];
      await restore(empty, file, { migrations: later });
      await migrate(empty, later);
      assert.deepEqual(await empty.query("SELECT hashlock FROM swap_secrets ORDER BY 1"), [
        { hashlock: "0xab!" },
        { hashlock: "0xcd!" },
      ]);
    }));

  it("of a service that was moved leaves no mark, and goes on with other positions all the same", () =>
    withBackup(async ({ file, empty }) => {
      assert.equal((await restore(empty, file, { after: "moved" })).restore, undefined);
      assert.deepEqual(await empty.query("SELECT * FROM restores"), []);
    }));
});

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const at = copy.length >> 1;
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

const zipped = (lines: readonly string[]) => gzipSync(lines.join("\n"));
