import type { CommandSpec } from "./options.ts";

const program = "lockstep";

/** What all commands are, and how to learn more. */
export function programHelp(specs: readonly CommandSpec[]): string {
  return [
    `usage: ${program} COMMAND [OPTIONS]`,
    "",
    ...columns(specs.map(({ name, summary }) => [name, summary])),
    "",
    `${program} help COMMAND, or COMMAND --help, tells the arguments and options of one, with examples.`,
  ].join("\n");
}

/** The commands of a group, such as `swap`. */
export function groupHelp(group: string, specs: readonly CommandSpec[]): string {
  return [
    `usage: ${program} ${group} COMMAND [OPTIONS]`,
    "",
    ...columns(specs.map(({ name, summary }) => [name, summary])),
    "",
    `${program} help ${group} COMMAND tells more of one.`,
  ].join("\n");
}

export function commandHelp({ name, summary, arguments: own, options, examples }: CommandSpec): string {
  const args = Object.values(own).map(({ value, optional }) => (optional ? `[${value}]` : value));
  const places = Object.values(own).map(({ value, what }) => [value, what]);
  const rows = Object.entries(options).map(([option, { what, value, fallback }]) => [
    `--${option}${value === undefined ? "" : ` ${value}`}`,
    `${what}${fallback === undefined ? "" : ` (${fallback})`}`,
  ]);
  return [
    `usage: ${[program, name, ...args].join(" ")} [OPTIONS]`,
    "",
    summary,
    "",
    ...columns([...places, ...rows, ["--help", "tells this"]]),
    "",
    "examples:",
    ...examples.map((example) => `  ${program} ${example}`),
  ].join("\n");
}

/** The known word that is nearest to what was typed; undefined when none is near. */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((word) => ({ word, edits: editsBetween(typed, word) }))
    .sort((one, other) => one.edits - other.edits);
  const [best] = ranked;
  return best && best.edits <= Math.max(2, Math.floor(best.word.length / 3)) && best.edits < best.word.length - 1
    ? best.word
    : undefined;
}

/** Letters to insert, delete or replace until one is the other. */
function editsBetween(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1];
    for (let j = 0; j < other.length; j++) {
      const replaced = (row[j] ?? 0) + (letter === other[j] ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const width = Math.max(...rows.map(([left = ""]) => left.length));
  return rows.map(([left = "", right = ""]) => `  ${left.padEnd(width)}  ${right}`);
}
