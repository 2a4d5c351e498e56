import { createInterface } from "node:readline/promises";
import { styleText } from "node:util";

/** What a person or a script reads of a command. The one place that prints; logs go to standard error by themselves. */
export function print(line = ""): void {
  hideStatus();
  process.stdout.write(`${line}\n`);
  drawStatus();
}

export function printError(line: string): void {
  hideStatus();
  process.stderr.write(`${line}\n`);
  drawStatus();
}

/** The line at the bottom of a terminal that says what is going on; one for the process, as there is one terminal. */
let status = "";

/** Shows what is going on: on a terminal in one line that is replaced, otherwise as a line of its own when it changes. */
export function showStatus(text: string): void {
  if (text === status) return;
  hideStatus();
  status = text;
  if (!process.stderr.isTTY && text !== "") process.stderr.write(`${text}\n`);
  drawStatus();
}

/** True where a status line can be drawn again and again. */
export const hasStatusLine = (): boolean => process.stderr.isTTY === true;

function hideStatus(): void {
  if (status !== "" && process.stderr.isTTY) process.stderr.write("\r\u001b[K");
}

function drawStatus(): void {
  if (status === "" || !process.stderr.isTTY) return;
  const most = Math.max(10, (process.stderr.columns ?? 80) - 1);
  process.stderr.write(styleText("dim", status.length > most ? `${status.slice(0, most - 1)}…` : status, onErrors));
}

const onErrors = { stream: process.stderr } as const;
type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** Colours a text where standard output is a terminal that wants colours (NO_COLOR, FORCE_COLOR). */
export const paint = (style: Style, text: string): string => styleText(style, text, { stream: process.stdout });

/** Ends the process without a word when whoever reads its output has gone, as `head` does. */
export function endWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
}

/** True where a person can be asked. */
export const canAsk = (): boolean => process.stdin.isTTY === true && process.stderr.isTTY === true;

/** Asks a person for a yes; anything else is a no. */
export async function confirm(question: string): Promise<boolean> {
  hideStatus();
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}

/** A table with a header, columns as wide as their widest cell. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd();
  return [line(header), line(widths.map((width) => "─".repeat(width))), ...rows.map(line)].join("\n");
}
