import { createReadStream, existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { z } from "zod";
import { type AuditFinding, type AuditHead, type AuditRow, auditStart, verifyAudit } from "#core/http/audit/chain.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { parseJson } from "#core/kernel/json.ts";
import { auditLineSchema } from "./api/auditRoutes.ts";

/** The last line of an export. */
const endSchema = z.strictObject({ end: z.string() });

/** A head as it is printed and noted: `SEQ:HASH`. */
export const headWords = ({ seq, hash }: AuditHead): string => `${seq}:${hash}`;

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

/** A line of JSON for each of the audit, the oldest first, and a last one with the head, which a file that was cut lacks. */
export async function* exportLines(rows: AsyncIterable<AuditRow> | Iterable<AuditRow>): AsyncGenerator<string> {
  let head = auditStart;
  for await (const row of rows) {
    yield JSON.stringify(row);
    head = row;
  }
  yield JSON.stringify({ end: headWords(head) } satisfies z.input<typeof endSchema>);
}

/** Checks what `exportLines` made, and that nothing of its end is missing. */
export async function verifyExport(file: string, known: readonly AuditHead[]): Promise<AuditFinding> {
  const read: Read = { end: undefined };
  const found = await verifyAudit(readExport(file, read), known);
  if (found.broken || read.end === headWords(found)) return found;
  const cut = "from here on the file is cut or cannot be read";
  const why = read.end === undefined ? cut : `the head should be ${read.end}, as the file's last line says`;
  return { ...found, broken: { seq: found.seq + 1, why } };
}

/** What was read besides the lines of the audit. */
type Read = { end: string | undefined };

async function* readExport(file: string, read: Read): AsyncGenerator<AuditRow> {
  if (!existsSync(file)) {
    const message = `--export: there is no file ${file}`;
    throw new LockstepError("config-invalid", message, { details: { field: "--export" } });
  }
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line === "") continue;
    const json = parseJson(line);
    // Half a line is the last one of a file that was cut.
    if (json === undefined) return;
    const end = endSchema.safeParse(json).data?.end;
    const parsed = auditLineSchema.safeParse(json);
    if (end !== undefined) read.end = end;
    // What is no line at all is one that was changed.
    else yield parsed.success ? parsed.data : { ...emptyRow, seq: Number.NaN };
  }
}

const emptyRow: AuditRow = {
  ...{ seq: 0, hash: "", kind: "begun", request: "", at: 0, caller: null, address: null, method: null, route: null },
  ...{ params: null, idempotencyKey: null, body: null, status: null, code: null, durationMs: null, count: 0 },
};
