// Makes a fresh clone ready to run: packages, then compiled contracts. Runs before `start`, `demo`, `test` and `check`
// under whatever Node the machine has, so it is plain JavaScript and imports nothing but Node's own modules.
// Why it is needed, and what breaks without it: docs/toolchain.md.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const at = (...parts) => join(root, ...parts);
const oldestNode = 20;

if (Number(process.versions.node.split(".")[0]) < oldestNode) {
  fail(`Lockstep sets itself up under Node ${oldestNode} or later; this is ${process.version}.`);
}
ensure("node_modules", ["package-lock.json"], "Installing packages (about a minute the first time)", installPackages);
ensure("artifacts", ["contracts", "hardhat.config.ts", "package-lock.json"], "Compiling contracts", compileContracts);

/** Runs `make` unless `folder` carries the fingerprint of its `inputs` from an earlier run that finished. */
function ensure(folder, inputs, doing, make) {
  const stamp = at(folder, ".lockstep-fingerprint");
  const wanted = fingerprint(inputs.map((name) => at(name)));
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  const started = Date.now();
  console.error(`${doing} …`);
  make();
  writeFileSync(stamp, wanted);
  console.error(`${doing}: done after ${Math.round((Date.now() - started) / 1000)} s`);
}

/**
 * npm itself has to run under Node 22 or later: under an older one it skips, without a word, optional packages whose
 * `engines` ask for more, and Hardhat's native part is one of them.
 */
function installPackages() {
  const { node } = JSON.parse(readFileSync(at("package.json"), "utf8")).dependencies;
  run("npx", ["-y", "-p", `node@${node}`, "--", "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]);
}

/** Its warnings, mostly of packages, are for who builds by hand: here they are shown when it fails. */
function compileContracts() {
  run(at("node_modules", ".bin", "hardhat"), ["build", "--no-tests", "--quiet"], { quiet: true });
}

function run(command, args, { quiet = false } = {}) {
  const path = `${at("node_modules", ".bin")}:${process.env.PATH}`;
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", quiet ? "pipe" : 2, quiet ? "pipe" : 2],
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, PATH: path },
  });
  if (status !== 0 && quiet) process.stderr.write(`${stdout ?? ""}${stderr ?? ""}`);
  if (status !== 0)
    fail(`\`${[command, ...args].join(" ")}\` failed${error ? `: ${error.message}` : ` with status ${status}`}.`);
}

function fingerprint(paths) {
  const hash = createHash("sha256");
  for (const path of paths) {
    if (!statSync(path).isDirectory()) hash.update(path.slice(root.length)).update(readFileSync(path));
    else
      hash.update(
        fingerprint(
          readdirSync(path)
            .sort()
            .map((name) => join(path, name)),
        ),
      );
  }
  return hash.digest("hex");
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
