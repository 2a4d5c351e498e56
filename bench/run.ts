import { existsSync } from "node:fs";

/** `npm run bench -- NAME [--json]`: the programs behind every figure that is claimed. */
const [name = ""] = process.argv.slice(2);
const file = new URL(`./${name}.ts`, import.meta.url);
if (!/^[a-z]+$/.test(name) || name === "run" || !existsSync(file)) {
  console.error("usage: npm run bench -- NAME [--json], where NAME is a file of bench/, such as gas");
  process.exitCode = 64;
} else {
  await import(file.href);
}
