import { print } from "../terminal.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "./completions.ts";
import { type CommandSpec, readOptions } from "./options.ts";
import { completionCommand } from "./specs.ts";

const scripts: Readonly<Record<string, typeof bashCompletion>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** The script that makes a shell complete this command's names, options and words. */
export async function runCompletion(args: readonly string[], all: readonly CommandSpec[]): Promise<number> {
  const { shell } = readOptions(completionCommand, args);
  const script = scripts[shell]?.(all);
  if (script !== undefined) print(script);
  return 0;
}
