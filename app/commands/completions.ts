import type { CommandOption, CommandSpec } from "./options.ts";

type Specs = readonly CommandSpec[];

/**
 * What can follow what has been typed: after each beginning of a command, the words that go on; after `help` the same
 * words once more.
 */
function nextWords(specs: Specs): Map<string, Set<string>> {
  const next = new Map<string, Set<string>>();
  const names = specs.map(({ name }) => name.split(" "));
  for (const words of [...names, ...names.map((name) => ["help", ...name])]) {
    for (const [i, word] of words.entries()) {
      const before = words.slice(0, i).join(" ");
      next.set(before, (next.get(before) ?? new Set()).add(word));
    }
  }
  return next;
}

/** The command, or what begins one, that a word stands for behind another. */
const named = (before: string, word: string): string => `${before} ${word}`.trim().replace(/^help /, "");

const optionsOf = ({ options }: CommandSpec) => [...Object.keys(options), "help"].map((name) => `--${name}`);
const wordsOf = (spec: CommandSpec) => Object.values(spec.arguments).flatMap(({ words = [] }) => words);
const isFile = ({ value }: Pick<CommandOption, "value">) => value === "FILE" || value === "FOLDER";

/** By command: options whose value is a path, one of some words, or anything. */
function valued(spec: CommandSpec) {
  const given = Object.entries(spec.options).filter(([, { value }]) => value !== undefined);
  return {
    files: given.filter(([, option]) => isFile(option)).map(([name]) => `--${name}`),
    chosen: given.flatMap(([name, { words }]) => (words ? [{ name: `--${name}`, words: words.join(" ") }] : [])),
    others: given.filter(([, option]) => !isFile(option) && !option.words).map(([name]) => `--${name}`),
  };
}

const takesFile = (spec: CommandSpec) => Object.values(spec.arguments).some(({ value }) => value === "FILE");

export function bashCompletion(specs: Specs): string {
  const branches = [...nextWords(specs)].map(
    ([before, words]) => `    "${before}") words="${[...words].join(" ")}" ;;`,
  );
  const commands = specs.map((spec) => {
    const { files, chosen, others } = valued(spec);
    const cases = [
      ...chosen.map(({ name, words }) => `        ${name}) _lockstep_of "${words}"; return ;;`),
      ...(files.length > 0 ? [`        ${files.join("|")}) COMPREPLY=($(compgen -f -- "$cur")); return ;;`] : []),
      ...(others.length > 0 ? [`        ${others.join("|")}) return ;;`] : []),
    ];
    return [
      `    "${spec.name}")`,
      ...(cases.length > 0 ? ['      case "$prev" in', ...cases, "      esac"] : []),
      ...(takesFile(spec) ? ['      [[ $cur == -* ]] || { COMPREPLY=($(compgen -f -- "$cur")); return; }'] : []),
      `      words="${[...wordsOf(spec), ...optionsOf(spec)].join(" ")}" ;;`,
    ].join("\n");
  });
  return [
    "# lockstep completion bash",
    "# one of some words, behind others and a comma where there are any",
    "_lockstep_of() {",
    `  local before="\${cur%"\${cur##*,}"}"`,
    `  COMPREPLY=($(compgen -P "$before" -W "$1" -- "\${cur##*,}"))`,
    "}",
    "_lockstep() {",
    `  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" words="" typed=""`,
    "  COMPREPLY=()",
    `  if (( COMP_CWORD > 1 )); then typed="\${COMP_WORDS[1]}"; fi`,
    `  if (( COMP_CWORD > 2 )); then typed="$typed \${COMP_WORDS[2]}"; fi`,
    `  if (( COMP_CWORD < 4 )); then case "$typed" in`,
    ...branches,
    "  esac; fi",
    '  if [[ -n $words ]]; then COMPREPLY=($(compgen -W "$words" -- "$cur")); return; fi',
    `  case "$typed" in ${pairs(specs)}) ;; *) typed="\${typed%% *}" ;; esac`,
    '  case "$typed" in',
    ...commands,
    "  esac",
    '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
    "}",
    "complete -F _lockstep lockstep",
  ].join("\n");
}

/** Names of two words, as a pattern. */
const pairs = (specs: Specs): string =>
  specs
    .filter(({ name }) => name.includes(" "))
    .map(({ name }) => `"${name}"`)
    .join("|");

/** What a shell's single quotes hold. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

export function zshCompletion(specs: Specs): string {
  const described = (before: string, words: Iterable<string>) =>
    [...words].map((word) => {
      const spec = specs.find(({ name }) => name === named(before, word));
      const what = spec?.summary ?? (word === "help" ? "what a command does" : `commands about ${word}`);
      return quoted(`${word}:${what.replaceAll(":", "\\:")}`);
    });
  const branches = [...nextWords(specs)].map(
    ([before, words]) => `    "${before}") next=(${described(before, words).join(" ")}) ;;`,
  );
  const commands = specs.map((spec) => {
    const options = Object.entries(spec.options).map(([name, option]) => {
      const what = option.what.replaceAll(/[[\]:]/g, "\\$&");
      const value = option.value === undefined ? "" : `:${option.value}:${zshValues(option)}`;
      return quoted(`--${name}[${what}]${value}`);
    });
    const places = Object.values(spec.arguments).map((place) => quoted(`:${place.value}:${zshValues(place)}`));
    return `    "${spec.name}") _arguments ${[...options, quoted("--help[tells this]"), ...places].join(" ")} ;;`;
  });
  return [
    "#compdef lockstep",
    "_lockstep() {",
    '  local typed=""; local -a next',
    '  (( CURRENT > 2 )) && typed="$words[2]"',
    '  (( CURRENT > 3 )) && typed="$typed $words[3]"',
    '  (( CURRENT < 5 )) && case "$typed" in',
    ...branches,
    "  esac",
    "  if (( $#next )); then _describe command next; return; fi",
    `  case "$typed" in`,
    `    ${pairs(specs)}) (( CURRENT -= 2 )); words=("\${(@)words[3,-1]}") ;;`,
    `    *) typed="\${typed%% *}"; (( CURRENT -= 1 )); words=("\${(@)words[2,-1]}") ;;`,
    "  esac",
    '  case "$typed" in',
    ...commands,
    "  esac",
    "}",
    `if [[ "\${funcstack[1]}" = "_lockstep" ]]; then _lockstep "$@"; else compdef _lockstep lockstep; fi`,
  ].join("\n");
}

/** What zsh offers for a value. */
function zshValues(option: Pick<CommandOption, "value" | "words" | "many">): string {
  const { value, words, many } = option;
  if (many) return `_values -s , ${value} ${words?.join(" ")}`;
  return words ? `(${words.join(" ")})` : isFile(option) ? "_files" : "";
}

export function fishCompletion(specs: Specs): string {
  const lines = ["# lockstep completion fish", "complete -c lockstep -f"];
  for (const [before, words] of nextWords(specs)) {
    // What follows a word of a group follows it behind `help` too: fish asks only whether it was typed.
    if (before.startsWith("help ")) continue;
    const condition =
      before === "" ? "__fish_use_subcommand" : `__fish_seen_subcommand_from ${before}; and not ${seen([...words])}`;
    for (const word of words) {
      const spec = specs.find(({ name }) => name === named(before, word));
      const what = spec ? ` -d ${quoted(spec.summary)}` : "";
      lines.push(`complete -c lockstep -n ${quoted(condition)} -a ${word}${what}`);
    }
  }
  for (const spec of specs) {
    const condition = spec.name
      .split(" ")
      .map((word) => seen([word]))
      .join("; and ");
    for (const [name, option] of Object.entries(spec.options)) {
      const words = option.words ? ` -a ${quoted(option.words.join(" "))}` : "";
      const value = option.value === undefined ? "" : isFile(option) ? " -r -F" : ` -x${words}`;
      lines.push(`complete -c lockstep -n ${quoted(condition)} -l ${name}${value} -d ${quoted(option.what)}`);
    }
    const words = wordsOf(spec);
    if (words.length > 0) lines.push(`complete -c lockstep -n ${quoted(condition)} -a ${quoted(words.join(" "))}`);
    if (takesFile(spec)) lines.push(`complete -c lockstep -n ${quoted(condition)} -F`);
  }
  return lines.join("\n");
}

const seen = (words: readonly string[]): string => `__fish_seen_subcommand_from ${words.join(" ")}`;
