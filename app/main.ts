import { readFileSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { toJson } from "#core/kernel/json.ts";
import { commands } from "./commands/commands.ts";
import { commandHelp, groupHelp, nearest, programHelp } from "./commands/help.ts";
import type { CommandSpec } from "./commands/options.ts";
import { exitOf, exitUsage } from "./exitCodes.ts";
import { endWithReader, print, printError, showStatus } from "./terminal.ts";

const specs = commands.map(({ spec }) => spec);

// A network is half a dozen processes of the same code: the second one on finds it compiled.
enableCompileCache();
endWithReader();
process.exitCode = await run(process.argv.slice(2));

async function run(words: readonly string[]): Promise<number> {
  const [first = ""] = words;
  if (first === "--version") return show(version());
  const asksHelp = ["help", "--help", "-h"].includes(first);
  const wanted = asksHelp ? words.slice(1) : words;
  if (asksHelp && wanted.length === 0) return show(programHelp(specs));
  const found = find(wanted);
  if (found === undefined) return runGroup(wanted, asksHelp);
  const { spec, load } = found.command;
  if (asksHelp || found.args.includes("--help") || found.args.includes("-h")) return show(commandHelp(spec));
  try {
    return await (await load())(found.args, specs);
  } catch (thrown) {
    showStatus("");
    const error = portTaken(thrown) ?? thrown;
    if (isUsage(error)) return refuse(`${spec.name}: ${usageWords(error, spec, found.args)}`);
    if (!isLockstepError(error)) throw error;
    tell(error, found.args.includes("--json"));
    return exitOf(error);
  }
}

/** Where another process listens already. */
function portTaken(error: unknown): LockstepError | undefined {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "EADDRINUSE") return undefined;
  const { address, port } = error as Error & { address?: string; port?: number };
  const message = `another process listens at ${address}:${port} already`;
  return new LockstepError("port-taken", message, { details: { port }, cause: error });
}

/** The command that the first words name, two before one, and what follows them. */
function find(words: readonly string[]) {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(" ");
    const command = commands.find(({ spec }) => spec.name === name);
    if (command) return { command, args: words.slice(length) };
  }
  return undefined;
}

/** What is said of a group such as `swap`, or of a word that names nothing. */
function runGroup([first = "", second = ""]: readonly string[], asksHelp: boolean): number {
  if (first === "") return refuse(programHelp(specs));
  const group = specs.filter(({ name }) => name.startsWith(`${first} `));
  const asks = asksHelp || ["--help", "-h"].includes(second);
  if (group.length === 0) return refuse(unknownCommand(first, firstWords()));
  if (asks && (second === "" || second.startsWith("-"))) return show(groupHelp(first, group));
  if (second === "" || second.startsWith("-")) return refuse(groupHelp(first, group));
  const actions = group.map(({ name }) => name.slice(first.length + 1));
  return refuse(unknownCommand(second, actions, `${first} `));
}

function firstWords(): string[] {
  return [...new Set(specs.map(({ name }) => name.split(" ")[0] ?? ""))];
}

function show(text: string): number {
  print(text);
  return 0;
}

function refuse(text: string): number {
  printError(text);
  return exitUsage;
}

/** An error for people, or as the last line of standard error for programs. */
function tell({ code, message, details, retryable }: LockstepError, asJson: boolean): void {
  if (asJson) printError(toJson({ error: { code, message, retryable, details } }));
  else for (const line of message.split("\n")) printError(`${code}: ${line}`);
}

function unknownCommand(name: string, known: readonly string[], before = ""): string {
  const near = nearest(name, known);
  const hint = near === undefined ? `there are ${known.join(", ")}` : `did you mean ${before}${near}?`;
  return `there is no command ${before}${name}; ${hint}`;
}

/** Node's words about an option, or ours with the nearest one where there is none of this name. */
function usageWords(error: Error & { code: string }, { name, options }: CommandSpec, args: readonly string[]): string {
  const known = Object.keys(options);
  const typed = args.map((each) => each.split("=")[0] ?? "").filter((each) => each.startsWith("-"));
  const unknown = typed.map((each) => each.replace(/^-+/, "")).find((each) => !known.includes(each));
  if (error.code !== "ERR_PARSE_ARGS_UNKNOWN_OPTION" || unknown === undefined) return error.message;
  const near = nearest(unknown, known);
  const hint = near === undefined ? `see: lockstep help ${name}` : `did you mean --${near}?`;
  return `there is no option --${unknown}; ${hint}`;
}

function version(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

function isUsage(error: unknown): error is Error & { code: string } {
  return error instanceof Error && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}
