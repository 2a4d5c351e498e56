import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { exportLines, headWords, verifyExport } from "#app/audit.ts";
import { type AuditEntry, type AuditRow, auditStart, chainEntry } from "#core/http/audit/chain.ts";

const entry: AuditEntry = {
  ...{ kind: "begun", request: "r", at: 1_700_000_000_000, caller: "key:ops", address: "192.0.2.1", method: "POST" },
  ...{ route: "/v1/things", params: null, idempotencyKey: null, body: null, status: null, code: null },
  ...{ durationMs: null, count: 1 },
};

function rowsOf(count: number): AuditRow[] {
  const rows: AuditRow[] = [];
  while (rows.length < count) rows.push(chainEntry(rows.at(-1) ?? auditStart, entry));
  return rows;
}

async function linesOf(rows: readonly AuditRow[]): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of exportLines(rows)) lines.push(line);
  return lines;
}

describe("an export of the audit", () => {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-export-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "audit.jsonl");
  const rows = rowsOf(4);

  const verify = (text: string, known = rows.slice(0, 0)) => {
    writeFileSync(file, text);
    return verifyExport(file, known);
  };

  it("is whole with its last line, also where it has no other", async () => {
    for (const some of [[], rows.slice(0, 1), rows]) {
      const found = await verify(`${(await linesOf(some)).join("\n")}\n`);
      const { seq, hash } = some.at(-1) ?? auditStart;
      assert.deepEqual(found, { seq, hash });
    }
  });

  it("is seen to be cut, wherever it is", async () => {
    const text = `${(await linesOf(rows)).join("\n")}\n`;
    for (let length = 0; length < text.length - 1; length++) {
      const { seq, broken } = await verify(text.slice(0, length));
      assert.deepEqual(broken, { seq: seq + 1, why: "from here on the file is cut or cannot be read" });
    }
  });

  it("is seen to lack lines that its own last line, or a head of another place, knows of", async () => {
    const lines = await linesOf(rows);
    const without = [...lines.slice(0, 2), ...lines.slice(4)].join("\n");
    assert.match((await verify(without)).broken?.why ?? "", /the head should be 4:/);
    const shorter = (await linesOf(rows.slice(0, 2))).join("\n");
    assert.equal((await verify(shorter)).broken, undefined);
    assert.match((await verify(shorter, rows.slice(3))).broken?.why ?? "", /there were 4 lines, and 2 are left/);
    assert.ok((await verify([...lines, ...lines.slice(0, 1)].join("\n"))).broken, "lines behind the end");
  });

  it("ends the command with 1 where it is cut, and with the head to be kept where it is whole", async () => {
    const lines = await linesOf(rows);
    const run = (text: string) => {
      writeFileSync(file, text);
      return spawnSync(process.execPath, ["app/main.ts", "audit", "verify", "--export", file], { encoding: "utf8" });
    };
    const whole = run(lines.join("\n"));
    assert.equal(whole.status, 0, whole.stderr);
    assert.ok(
      whole.stdout.startsWith(`4 lines follow each other; head ${headWords(rows[3] ?? auditStart)}\nkeep the head`),
    );
    const cut = run(lines.slice(0, 4).join("\n"));
    assert.equal(cut.status, 1);
    assert.match(cut.stderr, /broken at line 5: from here on the file is cut/);
  });
});
