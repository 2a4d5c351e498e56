import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { createFolderStorage } from "#core/archive/folder.ts";
import { archiveMigrations } from "#core/archive/tables.ts";
import { migrate } from "#core/db/migrate.ts";
import type { PostgresDb } from "#core/db/postgres.ts";
import { createArchivedAudit, createAuditArchiver } from "#core/http/audit/archive.ts";
import type { AuditEntry } from "#core/http/audit/chain.ts";
import { createAuditLog } from "#core/http/audit/log.ts";
import { auditMigrations } from "#core/http/audit/tables.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import { forEachDatabase, withDatabase } from "#test/support/databases.ts";

const key = redact(new Uint8Array(32).fill(9));
const dayMs = 86_400_000;
const start = Date.parse("2026-01-01");

const entry = (at: number): AuditEntry => ({
  ...{ kind: "begun", request: "r", at, caller: "key:ops", address: "192.0.2.1", method: "POST", route: "/v1/things" },
  ...{
    params: '{"ä":"\\u2028"}',
    idempotencyKey: null,
    body: null,
    status: null,
    code: null,
    durationMs: null,
    count: 1,
  },
});

async function openAudit(db: PostgresDb, folder: string) {
  await migrate(db, [...archiveMigrations, ...auditMigrations]);
  const storage = createFolderStorage(folder);
  const audit = createAuditLog({ db, keys: [key], archived: createArchivedAudit({ db, storage }) });
  let now = start;
  const archiver = (mark: (point: string) => void = () => undefined) =>
    createAuditArchiver({
      db,
      storage,
      mark,
      keptMs: 120 * dayMs,
      clock: { now: () => now, sleep: async () => undefined },
    });
  const day = async (n: number) => audit.write(entry(start + n * dayMs));
  return {
    ...{ audit, archiver, day },
    at: (n: number) => {
      now = start + n * dayMs;
    },
    lines: async () => (await db.query("SELECT seq FROM audit_log")).length,
  };
}

await forEachDatabase("the audit in the archive", (backend) => {
  const withAudit = (
    work: (world: Awaited<ReturnType<typeof openAudit>> & { db: PostgresDb; folder: string }) => Promise<void>,
  ) =>
    withDatabase(backend, async ({ db }) => {
      const folder = await mkdtemp(join(tmpdir(), "lockstep-audit-"));
      try {
        await work({ ...(await openAudit(db, folder)), db, folder });
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });

  it("is one chain with what is still in the database, and what was noted of it before still holds", () =>
    withAudit(async ({ audit, archiver, day, at, lines }) => {
      for (let n = 0; n < 10; n++) await day(n);
      const before = await audit.verify();
      at(125);
      assert.deepEqual((await archiver().run()).items, { audit: 5 });
      assert.equal(await lines(), 5);
      assert.deepEqual(await audit.verify([before]), before);
      await day(126);
      at(300);
      assert.deepEqual((await archiver().run()).items, { audit: 6 });
      assert.deepEqual((await archiver().run()).items, {});
      assert.equal(await lines(), 0);
      const all = await audit.verify([before]);
      assert.deepEqual([all.seq, all.broken], [11, undefined]);
      await day(301);
      assert.deepEqual([(await audit.verify([before, all])).seq, (await audit.verify()).broken], [12, undefined]);
    }));

  it("tells a line that was changed, left out or lost", () =>
    withAudit(async ({ audit, archiver, day, at, folder }) => {
      for (let n = 0; n < 6; n++) await day(n);
      at(123);
      await archiver().run();
      const [name = ""] = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith(".gz"));
      const path = join(folder, name);
      const whole = await readFile(path);
      const text = gunzipSync(whole).toString().trimEnd().split("\n");
      assert.equal(text.length, 3);
      await writeFile(path, gzipSync(`${[text[0], text[1]?.replace("key:ops", "key:eve"), text[2]].join("\n")}\n`));
      assert.equal((await audit.verify()).broken?.seq, 2);
      await writeFile(path, gzipSync(`${[text[0], text[2]].join("\n")}\n`));
      assert.equal((await audit.verify()).broken?.seq, 2);
      await writeFile(path, gzipSync(`${text[0]}\n${text[1]}\n`));
      assert.equal((await audit.verify()).broken?.seq, 3);
      await rm(path);
      await assert.rejects(audit.verify(), (error) => isLockstepError(error, "archive-damaged"));
      await writeFile(path, whole);
      assert.equal((await audit.verify()).broken, undefined);
    }));

  it("lets nothing be deleted that is in no file, and goes on after a crash at any point", () =>
    withAudit(async ({ audit, archiver, day, at, db, lines }) => {
      for (let n = 0; n < 6; n++) await day(n);
      await assert.rejects(db.query("DELETE FROM audit_log WHERE seq = 1"), /only added to/);
      at(123);
      for (const point of ["audit.begun", "audit.checked"]) {
        const killed = archiver((mark) => {
          if (mark === point) throw new Error("killed");
        });
        await assert.rejects(killed.run(), /killed/);
        assert.equal(await lines(), 6);
      }
      await archiver().run();
      assert.equal(await lines(), 3);
      await assert.rejects(db.query("DELETE FROM audit_log WHERE seq = 4"), /only added to/);
      await assert.rejects(db.query("DELETE FROM audit_archive"), /only added to/);
      assert.equal((await audit.verify()).broken, undefined);
    }));
});
