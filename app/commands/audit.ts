import { archiveMigrations } from "#core/archive/tables.ts";
import { loadConfig, parseEnv } from "#core/config/load.ts";
import { serviceConfigSchema } from "#core/config/service.ts";
import { migrate } from "#core/db/migrate.ts";
import { createArchivedAudit } from "#core/http/audit/archive.ts";
import type { AuditFinding } from "#core/http/audit/chain.ts";
import { type AuditLog, createAuditLog } from "#core/http/audit/log.ts";
import { auditMigrations } from "#core/http/audit/tables.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { createLog } from "#core/observe/log.ts";
import { archiveStorage } from "../archive.ts";
import { exportLines, headWords, parseHead, verifyExport } from "../audit.ts";
import { layFoundation } from "../foundation.ts";
import { print, printError } from "../terminal.ts";
import { readOptions } from "./options.ts";
import { auditExportCommand, auditVerifyCommand } from "./specs.ts";

/** The audit is not what was written. */
const exitBroken = 1;
/** An export has no seal: who can write it can make a shorter one of it, with an end of its own. */
const headHint = "keep the head elsewhere: --head tells later whether all lines up to it are there as they were";

/** Says whether the audit is as it was written, of the database or of an export, and its head for a later check. */
export async function runAuditVerify(args: readonly string[]): Promise<number> {
  const { config, export: file, head, json } = readOptions(auditVerifyCommand, args);
  const known = head === undefined ? [] : [parseHead(head)];
  const finding =
    file === undefined ? await withAudit(config, (audit) => audit.verify(known)) : await verifyExport(file, known);
  tell(finding, json);
  if (file !== undefined && head === undefined && !finding.broken && !json) print(headHint);
  return finding.broken ? exitBroken : 0;
}

/** Prints all lines as JSON, the oldest first, and the head. */
export async function runAuditExport(args: readonly string[]): Promise<number> {
  return withAudit(readOptions(auditExportCommand, args).config, async (audit) => {
    for await (const line of exportLines(audit.read())) print(line);
    return 0;
  });
}

async function withAudit<T>(file: string, work: (audit: AuditLog) => Promise<T>): Promise<T> {
  const env = parseEnv();
  const log = createLog({ level: env.LOCKSTEP_LOG_LEVEL, name: "audit" });
  const config = loadConfig(file, serviceConfigSchema);
  const storage = archiveStorage(config, env);
  const { db, auditKeys, close } = await layFoundation(config, env, { log, clock: systemClock });
  try {
    await migrate(db, [...archiveMigrations, ...auditMigrations]);
    const archived = storage && createArchivedAudit({ db, storage });
    if (!archived && (await db.query("SELECT 1 FROM audit_archive LIMIT 1")).length > 0) {
      const message = "archive.store: lines of the audit were archived, and the configuration does not say where";
      throw new LockstepError("config-invalid", message, { details: { field: "archive.store" } });
    }
    return await work(createAuditLog({ db, keys: auditKeys, archived }));
  } finally {
    await close();
  }
}

function tell(finding: AuditFinding, json: boolean): void {
  const { seq, broken } = finding;
  const head = headWords(finding);
  print(
    json
      ? JSON.stringify({ lines: seq, head, ...(broken && { broken }) })
      : `${seq} lines follow each other; head ${head}`,
  );
  if (broken && !json) printError(`broken at line ${broken.seq}: ${broken.why}`);
}
