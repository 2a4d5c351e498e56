// A step of `npm run check`: whether every upgradeable contract as it is compiled now may be put behind the proxies
// that are out there. `layouts.json` keeps the storage they have; `-- --accept` records a layout that only added to it.
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StorageLayout } from "@openzeppelin/upgrades-core";
import { type Analysis, analyse, type CompilerInput, type LinkReferences } from "./analyse.ts";
import { incompatibility, stableLayout } from "./layouts.ts";

type Artifact = {
  abi: { type: string; name?: string }[];
  contractName: string;
  sourceName: string;
  inputSourceName: string;
  buildInfoId: string;
  linkReferences: LinkReferences;
};

const artifactsFolder = join(import.meta.dirname, "../../../artifacts");
const layoutsFile = join(import.meta.dirname, "layouts.json");
const acceptCommand = "node test/contracts/upgrades/check.ts --accept";

/** Every contract of the project that can stand behind a UUPS proxy; mocks are upgraded only in tests. */
function upgradeableArtifacts(): Artifact[] {
  return globSync("contracts/**/*.json", { cwd: artifactsFolder, exclude: ["contracts/mocks/**"] })
    .map((path): Artifact => JSON.parse(readFileSync(join(artifactsFolder, path), "utf8")))
    .filter(({ abi }) => abi.some(({ type, name }) => type === "function" && name === "proxiableUUID"));
}

function analyseArtifact({ buildInfoId, inputSourceName, contractName, linkReferences }: Artifact): Analysis {
  const buildInfo: { input: CompilerInput } = JSON.parse(
    readFileSync(join(artifactsFolder, "build-info", `${buildInfoId}.json`), "utf8"),
  );
  return analyse(buildInfo.input, { [`${inputSourceName}:${contractName}`]: linkReferences })[0]!;
}

/** What is wrong with a contract, in words; undefined when it is as it was accepted. */
function problemOf(name: string, { unsafe, layout }: Analysis, accepted: StorageLayout | undefined) {
  if (unsafe) return `${name} is not safe behind a proxy.\n${unsafe}`;
  if (!accepted) return `${name} has no accepted storage layout. Record it with: ${acceptCommand}`;
  const incompatible = incompatibility(accepted, layout);
  if (incompatible) {
    return `${name} cannot take over the storage of the accepted layout.\n${incompatible}\nOnly while no proxy holds that storage: delete its entry in layouts.json, then accept it anew.`;
  }
  const same = JSON.stringify(stableLayout(layout)) === JSON.stringify(accepted);
  return same ? undefined : `${name} adds to its storage. Record that with: ${acceptCommand}`;
}

const accepting = process.argv.includes("--accept");
const accepted: Record<string, StorageLayout> = JSON.parse(readFileSync(layoutsFile, "utf8"));
const artifacts = upgradeableArtifacts();
const names = artifacts.map(({ sourceName, contractName }) => `${sourceName}:${contractName}`);
const problems = Object.keys(accepted)
  .filter((name) => !names.includes(name))
  .map((name) => `${name} has an accepted storage layout but is not compiled, or not upgradeable any more.`);

for (const [i, artifact] of artifacts.entries()) {
  const name = names[i]!;
  const analysis = analyseArtifact(artifact);
  const blocked = analysis.unsafe || (accepted[name] && incompatibility(accepted[name], analysis.layout));
  if (accepting && !blocked) accepted[name] = stableLayout(analysis.layout);
  const problem = problemOf(name, analysis, accepted[name]);
  if (problem) problems.push(problem);
}
if (accepting) writeFileSync(layoutsFile, `${JSON.stringify(accepted, null, 2)}\n`);
process.stdout.write(
  problems.length > 0 ? `${problems.join("\n\n")}\n` : `upgrade safety: ${names.length} contract(s) as accepted\n`,
);
if (problems.length > 0 || names.length === 0) process.exitCode = 1;
