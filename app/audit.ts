import { createReadStream, existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { type AuditFinding, type AuditHead, type AuditRow, verifyAudit } from "#core/http/audit/chain.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { parseJson } from "#core/kernel/json.ts";
import { auditLineSchema } from "./api/auditRoutes.ts";

/** A head as it is printed and noted: `SEQ:HASH`. Throws `config-invalid`. */
export function parseHead(text: string): AuditHead {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq === undefined || hash === undefined) {
    throw new LockstepError(
      "config-invalid",
      `--head: expected SEQ:HASH as an earlier check printed it, not "${text}"`,
      {
        details: { field: "--head" },
      },
    );
  }
  return { seq: Number(seq), hash };
}

/** Checks an export, one line of JSON for each of the audit, oldest first. */
export function verifyExport(file: string, known: readonly AuditHead[]): Promise<AuditFinding> {
  return verifyAudit(readExport(file), known);
}

async function* readExport(file: string): AsyncGenerator<AuditRow> {
  if (!existsSync(file)) {
    const message = `--export: there is no file ${file}`;
    throw new LockstepError("config-invalid", message, { details: { field: "--export" } });
  }
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line === "") continue;
    const parsed = auditLineSchema.safeParse(parseJson(line));
    // What is no line at all is one that was changed.
    yield parsed.success ? parsed.data : { ...emptyRow, seq: Number.NaN };
  }
}

const emptyRow: AuditRow = {
  ...{ seq: 0, hash: "", kind: "begun", request: "", at: 0, caller: null, address: null, method: null, route: null },
  ...{ params: null, idempotencyKey: null, body: null, status: null, code: null, durationMs: null, count: 0 },
};
