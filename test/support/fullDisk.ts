import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** Whether a disk can be made to look full for single processes: Linux, with `prlimit` of util-linux. */
export function canFillDisk(): boolean {
  try {
    execFileSync("prlimit", ["--version"], { stdio: "ignore" });
    return process.platform === "linux";
  } catch {
    return false;
  }
}

/**
 * Makes every write to a file fail for a process whose command line has these words, and for those that it has started or
 * starts; the answer takes that back. Harsher than a full disk: what is there cannot be written over either.
 */
export function fillDisk(...words: readonly string[]): () => void {
  const limit = (soft: string) => {
    for (const pid of family(words)) {
      try {
        execFileSync("prlimit", ["--pid", String(pid), `--fsize=${soft}:`], { stdio: "ignore" });
      } catch {
        // It has ended meanwhile.
      }
    }
  };
  if (family(words).length === 0) throw new Error(`there is no process with ${words.join(" ")}`);
  limit("0");
  return () => limit("unlimited");
}

function family(words: readonly string[]): number[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
        return [{ pid: Number(name), parent, command: readFileSync(`/proc/${name}/cmdline`, "utf8") }];
      } catch {
        return [];
      }
    });
  const found = new Set(
    all.filter(({ command }) => words.every((word) => command.includes(word))).map(({ pid }) => pid),
  );
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  return [...found];
}
