import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const version = "44.0.2";

/**
 * The script of hyperlane's command line, installed beside this project's packages the first time and kept there. Not a
 * dependency: nothing but this benchmark needs its 190 MiB. Undefined when the registry does not give it.
 */
export function installHyperlane(say: (line: string) => void): string | undefined {
  const folder = fileURLToPath(new URL(`../../node_modules/.cache/peers/hyperlane-${version}`, import.meta.url));
  const script = `${folder}/node_modules/@hyperlane-xyz/cli/bundle/index.js`;
  if (existsSync(script)) return script;
  say(`installing @hyperlane-xyz/cli ${version} …`);
  mkdirSync(folder, { recursive: true });
  try {
    const args = ["install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts"];
    execFileSync("npm", [...args, `@hyperlane-xyz/cli@${version}`], { stdio: "pipe" });
  } catch (error) {
    say(`it cannot be installed here: ${error instanceof Error ? error.message.split("\n")[0] : "unknown"}`);
  }
  return existsSync(script) ? script : undefined;
}
