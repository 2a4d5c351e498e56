import { availableParallelism, totalmem } from "node:os";
import { basename, dirname } from "node:path";

/** Files that a process runs one after the other, and then ends. */
export type Job = { readonly name: string; readonly files: readonly string[] };

/** Their files take so long that each is a job of its own; other folders are a job each. */
const slowFolders = ["flows", "simulation"];
/** Flows that share a network, which takes longer to start than some of them to run. */
const sharing: Readonly<Record<string, readonly string[]>> = {
  "flows on every kind of store": ["killed", "outages", "through"],
  "flows on one network": ["brakes", "changes", "external", "quotes", "refusals"],
  "swaps on one network": ["swapKills", "watchtower"],
};
/** What takes longest, longest first: whatever is begun last is waited for alone. */
const slowest = [...Object.keys(sharing), "simulation/", "test/relay", "core/sender", "flows/"];
/** What the processes of a network take together, in bytes. */
const memoryEach = 2 * 2 ** 30;

/** The jobs that the files make, in the order in which they are to begin. */
export function toJobs(files: readonly string[]): Job[] {
  const jobs = new Map<string, string[]>();
  for (const file of [...files].sort()) {
    const name = jobOf(file);
    jobs.set(name, [...(jobs.get(name) ?? []), file]);
  }
  const place = ({ name }: Job) => slowest.findIndex((each) => name.includes(each)) >>> 0;
  return [...jobs]
    .map(([name, files]) => ({ name, files }))
    .sort((a, b) => place(a) - place(b) || b.files.length - a.files.length);
}

function jobOf(file: string): string {
  const folder = basename(dirname(file));
  const shares = Object.entries(sharing).find(([, names]) => names.includes(basename(file, ".test.ts")));
  if (folder === "flows" && shares) return shares[0];
  return slowFolders.includes(folder) ? file : dirname(file);
}

/** How long a process may print nothing, in milliseconds: LOCKSTEP_TEST_PATIENCE seconds, or 15 minutes. */
export function patienceMs(asked = process.env.LOCKSTEP_TEST_PATIENCE): number {
  return 1_000 * (asked === undefined || asked === "" ? 900 : wholeNumber("LOCKSTEP_TEST_PATIENCE", asked));
}

/** As many as LOCKSTEP_TEST_PROCESSES says; else one more than processors, since much is waiting, as far as memory goes. */
export function processCount(asked = process.env.LOCKSTEP_TEST_PROCESSES): number {
  if (asked === undefined || asked === "") {
    return Math.max(1, Math.min(availableParallelism() + 1, Math.floor(totalmem() / memoryEach)));
  }
  return wholeNumber("LOCKSTEP_TEST_PROCESSES", asked);
}

function wholeNumber(variable: string, asked: string): number {
  if (/^[1-9]\d*$/.test(asked)) return Number(asked);
  throw new Error(`${variable} has to be a number from 1 on, not "${asked}"`);
}
