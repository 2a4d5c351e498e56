import { loadConfig, parseEnv } from "#core/config/load.ts";
import { serviceConfigSchema } from "#core/config/service.ts";
import { migrate } from "#core/db/migrate.ts";
import type { AuditFinding } from "#core/http/audit/chain.ts";
import { type AuditLog, createAuditLog } from "#core/http/audit/log.ts";
import { auditMigrations } from "#core/http/audit/tables.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { createLog } from "#core/observe/log.ts";
import { parseHead, verifyExport } from "../audit.ts";
import { layFoundation } from "../foundation.ts";
import { print, printError } from "../terminal.ts";
import { readOptions } from "./options.ts";
import { auditExportCommand, auditVerifyCommand } from "./specs.ts";

/** The audit is not what was written. */
const exitBroken = 1;

/** Says whether the audit is as it was written, of the database or of an export, and its head for a later check. */
export async function runAuditVerify(args: readonly string[]): Promise<number> {
  const { config, export: file, head, json } = readOptions(auditVerifyCommand, args);
  const known = head === undefined ? [] : [parseHead(head)];
  const finding =
    file === undefined ? await withAudit(config, (audit) => audit.verify(known)) : await verifyExport(file, known);
  tell(finding, json);
  return finding.broken ? exitBroken : 0;
}

/** Prints all lines as JSON, the oldest first. */
export async function runAuditExport(args: readonly string[]): Promise<number> {
  return withAudit(readOptions(auditExportCommand, args).config, async (audit) => {
    for await (const line of audit.read()) print(JSON.stringify(line));
    return 0;
  });
}

async function withAudit<T>(file: string, work: (audit: AuditLog) => Promise<T>): Promise<T> {
  const env = parseEnv();
  const log = createLog({ level: env.LOCKSTEP_LOG_LEVEL, name: "audit" });
  const { db, auditKeys, close } = await layFoundation(loadConfig(file, serviceConfigSchema), env, {
    log,
    clock: systemClock,
  });
  try {
    await migrate(db, auditMigrations);
    return await work(createAuditLog({ db, keys: auditKeys }));
  } finally {
    await close();
  }
}

function tell({ seq, hash, broken }: AuditFinding, json: boolean): void {
  const head = `${seq}:${hash}`;
  print(
    json
      ? JSON.stringify({ lines: seq, head, ...(broken && { broken }) })
      : `${seq} lines follow each other; head ${head}`,
  );
  if (broken && !json) printError(`broken at line ${broken.seq}: ${broken.why}`);
}
