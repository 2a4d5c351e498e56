import { type ParseArgsConfig, parseArgs } from "node:util";

/** An option of a command: a text where it names its value, otherwise a switch. */
export type CommandOption = {
  readonly what: string;
  /** What stands for the value in the help, such as `FILE`. */
  readonly value?: string;
  readonly fallback?: string;
  /** The values that there are, where they are known. */
  readonly words?: readonly string[];
  /** Takes several of its words, with commas in between. */
  readonly many?: true;
};
export type CommandOptions = Readonly<Record<string, CommandOption>>;

/** A word of a command that has a place instead of a name. */
type CommandArgument = {
  readonly what: string;
  /** What stands for it in the help. */
  readonly value: string;
  readonly optional?: true;
  readonly words?: readonly string[];
};
export type CommandArguments = Readonly<Record<string, CommandArgument>>;

/** All that is known of a command without loading what it does: help, suggestions and completion are made from it. */
export type CommandSpec<O extends CommandOptions = CommandOptions, A extends CommandArguments = CommandArguments> = {
  /** One word, or two where it is one of a group: `swap request`. */
  readonly name: string;
  readonly summary: string;
  readonly arguments: A;
  readonly options: O;
  /** Without the program's name. */
  readonly examples: readonly string[];
};

type Value<O extends CommandOption> = O extends { value: string }
  ? O extends { fallback: string }
    ? string
    : string | undefined
  : boolean;
type OptionValues<O extends CommandOptions> = { readonly [name in keyof O]: Value<O[name]> };
type ArgumentValues<A extends CommandArguments> = {
  readonly [name in keyof A]: A[name] extends { optional: true } ? string | undefined : string;
};

/** What a command is run with. */
export type CommandValues<S> = S extends CommandSpec<infer O, infer A> ? OptionValues<O> & ArgumentValues<A> : never;

type Parts<O, A> = Omit<CommandSpec, "options" | "arguments"> & { readonly options: O; readonly arguments?: A };

/** Keeps the names of options and arguments as they are written, so that `readOptions` knows them. */
export const command = <
  const O extends CommandOptions,
  const A extends CommandArguments = Readonly<Record<never, CommandArgument>>,
>(
  spec: Parts<O, A>,
): CommandSpec<O, A> => ({ ...spec, arguments: spec.arguments ?? ({} as A) });

/** The values of a command's options and arguments. Throws `ERR_PARSE_ARGS_…` for what does not fit the declaration. */
export function readOptions<O extends CommandOptions, A extends CommandArguments>(
  spec: CommandSpec<O, A>,
  args: readonly string[],
): CommandValues<CommandSpec<O, A>> {
  const options: NonNullable<ParseArgsConfig["options"]> = Object.fromEntries(
    Object.entries<CommandOption>(spec.options).map(([name, { value, fallback }]) => [
      name,
      value === undefined
        ? { type: "boolean" as const, default: false }
        : { type: "string" as const, ...(fallback !== undefined && { default: fallback }) },
    ]),
  );
  const declared = Object.entries<CommandArgument>(spec.arguments);
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: declared.length > 0 });
  const missing = declared.find(([, { optional }], i) => !optional && positionals[i] === undefined);
  if (missing) throw usageError(`expected ${missing[1].value}: ${missing[1].what}`);
  const extra = positionals[declared.length];
  if (extra !== undefined) throw usageError(`nothing is known to do with '${extra}'`);
  const named = Object.fromEntries(declared.map(([name], i) => [name, positionals[i]]));
  const all = { ...values, ...named };
  for (const [name, { words }] of declared) assertWords(name, [all[name]], words);
  for (const [name, { words, many }] of Object.entries<CommandOption>(spec.options)) {
    const given = all[name];
    assertWords(`--${name}`, many && typeof given === "string" ? given.split(",") : [given], words);
  }
  return all as CommandValues<CommandSpec<O, A>>;
}

function assertWords(name: string, given: readonly unknown[], words: readonly string[] | undefined): void {
  const other = given.find((each) => typeof each === "string" && words?.includes(each) === false);
  if (other !== undefined) throw usageError(`${name}: there is no '${other}'; there are ${words?.join(", ")}`);
}

/** An error of whoever typed the command. */
export const usageError = (message: string): Error & { code: string } =>
  Object.assign(new Error(message), { code: "ERR_PARSE_ARGS_MISUSE" });

/** A port from the command line; 0 lets the machine choose. */
export function portOption(name: string, text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw usageError(`${name}: expected a port from 0 to 65535, not "${text}"`);
}

/** Whole seconds (or another count) from the command line. */
export function countOption(name: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw usageError(`${name}: expected a whole number above zero, not "${text}"`);
}
