import { enableCompileCache } from "node:module";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { toJson } from "#core/kernel/json.ts";
import { commands } from "./commands/commands.ts";
import { commandHelp, groupHelp, nearest, programHelp } from "./commands/help.ts";
import type { CommandSpec } from "./commands/options.ts";
import { exitOf, exitUsage } from "./exitCodes.ts";
import { endWithReader, print, printError, showStatus } from "./terminal.ts";
import { version } from "./version.ts";

const specs = commands.map(({ spec }) => spec);

// A network is half a dozen processes of the same code: the second one on finds it compiled.
enableCompileCache();
endWithReader();
process.exitCode = await run(process.argv.slice(2));

async function run(words: readonly string[]): Promise<number> {
  const [first = ""] = words;
  const asJson = words.includes("--json");
  if (first === "--version") return show(asJson ? toJson({ version: version() }) : version());
  const asksHelp = first === "help" || words.includes("--help") || words.includes("-h");
  const besides = ["--help", "-h", "--json"];
  const wanted = asksHelp ? words.slice(first === "help" ? 1 : 0).filter((word) => !besides.includes(word)) : words;
  const found = find(wanted);
  if (found === undefined) return runGroup(wanted, asksHelp, asJson);
  const { spec, load } = found.command;
  if (asksHelp) return show(asJson ? toJson(spec) : commandHelp(spec));
  try {
    return await (await load())(found.args, specs);
  } catch (thrown) {
    showStatus("");
    const error = portTaken(thrown) ?? thrown;
    if (isUsage(error)) return refuse(`${spec.name}: ${usageWords(error, spec, found.args)}`, asJson);
    if (!isLockstepError(error)) throw error;
    tell(error, asJson);
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

/** What is said of all commands, of a group such as `swap`, or of a word that names nothing. */
function runGroup(words: readonly string[], asksHelp: boolean, asJson: boolean): number {
  const [first = "", second = ""] = words;
  const group = first === "" ? specs : specs.filter(({ name }) => name.startsWith(`${first} `));
  if (group.length === 0) return refuse(unknownCommand(first, firstWords()), asJson);
  const actions = first === "" ? firstWords() : group.map(({ name }) => name.slice(first.length + 1));
  if (second !== "" && !second.startsWith("-")) return refuse(unknownCommand(second, actions, `${first} `), asJson);
  const help = first === "" ? programHelp(specs) : groupHelp(first, group);
  if (asksHelp) return show(asJson ? toJson({ commands: group }) : help);
  return refuse(asJson ? `expected a command; there are ${actions.join(", ")}` : help, asJson);
}

function firstWords(): string[] {
  return [...new Set(specs.map(({ name }) => name.split(" ")[0] ?? ""))];
}

function show(text: string): number {
  print(text);
  return 0;
}

function refuse(text: string, asJson: boolean): number {
  if (asJson) tell(new LockstepError("usage-invalid", text), asJson);
  else printError(text);
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

function isUsage(error: unknown): error is Error & { code: string } {
  return error instanceof Error && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}
