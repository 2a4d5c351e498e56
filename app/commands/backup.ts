import { randomUUID } from "node:crypto";
import { createBackup } from "#core/backup/create.ts";
import { type BackupContents, readBackup } from "#core/backup/read.ts";
import { type AfterRestore, assertNobodyConnected, type Restored, restoreBackup } from "#core/backup/restore.ts";
import { loadConfig, parseEnv } from "#core/config/load.ts";
import { serviceConfigSchema } from "#core/config/service.ts";
import { migrate, pendingMigrations } from "#core/db/migrate.ts";
import { createAuditLog } from "#core/http/audit/log.ts";
import { auditMigrations } from "#core/http/audit/tables.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { toJson } from "#core/kernel/json.ts";
import { createLog } from "#core/observe/log.ts";
import { openServiceDatabase, readBackupKeys, readSealer } from "../backup/open.ts";
import { backupPlan } from "../backup/plan.ts";
import { layFoundation } from "../foundation.ts";
import { createServiceReseal } from "../sealed.ts";
import { migrations } from "../stored.ts";
import { print, printError, table } from "../terminal.ts";
import { version } from "../version.ts";
import { readOptions, usageError } from "./options.ts";
import { backupCreateCommand, backupRestoreCommand, backupVerifyCommand } from "./specs.ts";

export async function runBackupCreate(args: readonly string[]): Promise<number> {
  const { config: path, file, json } = readOptions(backupCreateCommand, args);
  const config = loadConfig(path, serviceConfigSchema);
  const env = parseEnv();
  const keys = readBackupKeys(config);
  const { db, close } = await openServiceDatabase(
    config,
    env,
    createLog({ level: env.LOCKSTEP_LOG_LEVEL, name: "backup" }),
  );
  try {
    // One that was made under another key than the rows could not be used by whoever has theirs.
    if ((await pendingMigrations(db, migrations)) === 0)
      await createServiceReseal({ db, sealer: readSealer(config) }).assertOpens();
    const made = await createBackup({
      db,
      migrations,
      plan: backupPlan,
      keys,
      program: version(),
      file,
      now: Date.now,
    });
    if (json) print(toJson({ file, ...factsOf({ ...made, sha256: undefined, sealed: true }), bytes: made.bytes }));
    else {
      print(`${file}: ${sumOf(made.rows)} rows of ${made.manifest.tables.length} tables, ${made.bytes} bytes`);
      for (const line of wordsOf(made)) print(line);
    }
    for (const name of made.foreign) printError(`the table ${name} is none of the service's, and not in the backup`);
    return 0;
  } finally {
    await close();
  }
}

export async function runBackupVerify(args: readonly string[]): Promise<number> {
  const { config, file, json } = readOptions(backupVerifyCommand, args);
  const keys = config === undefined ? undefined : readBackupKeys(loadConfig(config, serviceConfigSchema));
  const found = await readBackup(file, { manifest: () => undefined, rows: () => undefined }, keys);
  if (json) print(toJson({ file, ...factsOf(found) }));
  else {
    print(`${file} is whole: ${sumOf(found.rows)} rows of ${found.manifest.tables.length} tables`);
    for (const line of wordsOf(found)) print(line);
    print(
      found.sealed ? "made under the configured sealing key" : "who made it was not checked: name --config for that",
    );
    print(
      table(
        ["table", "rows"],
        Object.entries(found.rows).map(([name, rows]) => [name, String(rows)]),
      ),
    );
  }
  return 0;
}

export async function runBackupRestore(args: readonly string[]): Promise<number> {
  const { config: path, file, json, moved, "stay-held": stays } = readOptions(backupRestoreCommand, args);
  if (moved && stays) throw usageError("--moved and --stay-held: a service that was moved goes on as it was left");
  const after: AfterRestore = moved ? "moved" : stays ? "held-until-released" : "held";
  const config = loadConfig(path, serviceConfigSchema);
  const env = parseEnv();
  const log = createLog({ level: env.LOCKSTEP_LOG_LEVEL, name: "backup" });
  const keys = readBackupKeys(config);
  const { db, auditKeys, close } = await layFoundation({ ...config, accounts: {} }, env, { log, clock: systemClock });
  try {
    await assertNobodyConnected(db);
    const restored = await restoreBackup({ db, migrations, plan: backupPlan, keys, file, after, now: Date.now });
    await migrate(db, auditMigrations);
    await createAuditLog({ db, keys: auditKeys }).write(auditEntry(restored, after));
    if (json)
      print(toJson({ file, ...factsOf(restored), restore: restored.restore, resumesAfter: restored.resumesAfter }));
    else {
      print(`${sumOf(restored.rows)} rows are back as they were at ${restored.manifest.takenAt}`);
      print(nextWords[after]);
    }
    return 0;
  } finally {
    await close();
  }
}

const nextWords: Readonly<Record<AfterRestore, string>> = {
  held: "the service sends nothing after its start until it has found out what happened since; /health/ready says how far it is",
  "held-until-released": "the service sends nothing after its start until `lockstep restore release`",
  moved: "the service goes on as it was left",
};

const sumOf = (rows: Readonly<Record<string, number>>) => Object.values(rows).reduce((sum, count) => sum + count, 0);

type Facts = Pick<BackupContents, "manifest" | "rows"> & { sha256: string | undefined; sealed: boolean | undefined };

const factsOf = ({ manifest, rows, sha256, sealed }: Facts) => ({
  ...{ id: manifest.id, takenAt: manifest.takenAt, program: manifest.program, position: manifest.position },
  ...{ instances: manifest.instances, chains: manifest.chains, migrations: manifest.migrations.length },
  ...{ rows, sealed, sha256 },
});

function wordsOf({ manifest }: Pick<BackupContents, "manifest">): string[] {
  const chains = Object.entries(manifest.chains).map(([name, genesis]) => `${name} (${genesis})`);
  return [
    `taken at ${manifest.takenAt} by version ${manifest.program}, last event ${manifest.position}`,
    `chains: ${chains.length > 0 ? chains.join(", ") : "none was read"}`,
    `processes at work then: ${manifest.instances}`,
  ];
}

/** So that a line says why others that somebody noted are not there. */
function auditEntry({ manifest }: Restored, after: AfterRestore) {
  const { id: backup, takenAt, position } = manifest;
  return {
    ...({ kind: "answered", request: randomUUID(), at: Date.now(), caller: "command line", address: null } as const),
    ...{ method: null, route: "lockstep backup restore" },
    params: toJson({ backup, takenAt, position, after }),
    ...{ idempotencyKey: null, body: null, status: null, code: null, durationMs: null, count: 1 },
  };
}
