#!/usr/bin/env node
// What `npx lockstep` runs in a clone, under whatever Node the machine has: so it is plain JavaScript and imports nothing
// but Node's own modules. It hands over to the command under the Node that this project depends on.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const node = join(root, "node_modules", ".bin", "node");
const args = process.argv.slice(2);
/** Commands that need the compiled contracts: they are brought up to date first, as `npm start` does. */
const needsContracts = ["start", "network", "demo", "deploy"].includes(args[0] ?? "");
const asksHelp = args.includes("--help") || args.includes("-h");

if (!existsSync(node) || (needsContracts && !asksHelp)) {
  const { status } = spawnSync(process.execPath, [join(here, "setup.mjs")], { stdio: ["ignore", 2, 2] });
  if (status !== 0) process.exit(status ?? 1);
}
const child = spawn(node, ["--disable-warning=ExperimentalWarning", join(root, "app", "main.ts"), ...args], {
  stdio: "inherit",
});
// A terminal sends Ctrl-C to both; the command decides what becomes of it.
process.on("SIGINT", () => undefined);
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`lockstep cannot be started: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code ?? 1);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
