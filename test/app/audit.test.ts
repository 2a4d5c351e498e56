import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("../../app/setup/audit.mjs", import.meta.url));

describe("the audit of dependencies", () => {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-audit-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** With an npm that says this. */
  function audit(said: string, ...args: string[]) {
    writeFileSync(join(folder, "npm"), `#!/bin/sh\ncat <<'END'\n${said}\nEND\nexit 1\n`, { mode: 0o700 });
    const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
    return spawnSync(process.execPath, [script, ...args], { env, encoding: "utf8" });
  }
  const report = (high: number) =>
    JSON.stringify({
      vulnerabilities: { leaky: { name: "leaky", severity: high ? "high" : "low" } },
      metadata: { vulnerabilities: { low: 1, moderate: 0, high, critical: 0 } },
    });

  it("fails by name for a flaw of high severity, and for nothing less", () => {
    const bad = audit(report(1));
    assert.equal(bad.status, 1);
    assert.match(bad.stderr, /leaky \(high\)/);
    assert.equal(audit(report(0)).status, 0);
  });

  it("says that it was skipped when the registry does not answer, which is a failure only where it is required", () => {
    const refused = JSON.stringify({ message: "405 Method Not Allowed", error: { summary: "" } });
    for (const said of [refused, "", "not JSON"]) {
      const skipped = audit(said);
      assert.equal(skipped.status, 0);
      assert.match(skipped.stderr, /skipped: the registry does not answer/);
      assert.equal(audit(said, "--required").status, 1);
    }
  });
});
