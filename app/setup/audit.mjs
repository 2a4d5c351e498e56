// Part of `npm run check`: fails when a package that runs in production has a known flaw of high or critical severity.
// A machine without a network, or with a registry that answers no audits, says by name that the audit was skipped;
// with `--required`, as where releases are made, that is a failure as well.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const timeoutMs = 60_000;
const failing = ["high", "critical"];

const required = process.argv.includes("--required");
const { stdout = "", error } = spawnSync("npm", ["audit", "--omit=dev", "--json", "--fetch-retries=0"], {
  cwd: root,
  encoding: "utf8",
  timeout: timeoutMs,
  maxBuffer: 64 * 1024 * 1024,
  stdio: ["ignore", "pipe", "ignore"],
  env: { ...process.env, PATH: `${join(root, "node_modules", ".bin")}:${process.env.PATH}` },
});
const report = parse(stdout ?? "");
const counts = report?.metadata?.vulnerabilities;

if (counts === undefined) {
  const why = report?.message ?? error?.message ?? "npm said nothing";
  console.error(`audit of dependencies skipped: the registry does not answer (${String(why).slice(0, 200)})`);
  process.exitCode = required ? 1 : 0;
} else {
  const found = failing.reduce((sum, severity) => sum + (counts[severity] ?? 0), 0);
  const names = Object.values(report.vulnerabilities ?? {})
    .filter(({ severity }) => failing.includes(severity))
    .map(({ name, severity }) => `${name} (${severity})`);
  console.error(found === 0 ? "audit of dependencies: nothing of high severity" : `audit: ${names.join(", ")}`);
  process.exitCode = found === 0 ? 0 : 1;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
