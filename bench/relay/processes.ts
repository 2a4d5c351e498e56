import { readdirSync, readFileSync } from "node:fs";

/** Kernel ticks a second (`getconf CLK_TCK` on every Linux). */
const ticks = 100;

/** CPU milliseconds used so far, by what a process does; of processes that this one started, and of a database's. */
export type CpuTimes = Readonly<Record<string, number>>;

type Process = { readonly pid: number; readonly parent: number; readonly command: string; readonly cpuMs: number };

/** Reads `/proc`, so there are figures on Linux only. */
export function cpuTimes(database: string | undefined): CpuTimes {
  const all = processes();
  const ours = descendants(all, process.pid);
  const sums: Record<string, number> = {};
  for (const each of all) {
    const what = ours.has(each.pid) || each.pid === process.pid ? roleOf(each.command) : backendOf(each, database);
    if (what) sums[what] = (sums[what] ?? 0) + each.cpuMs;
  }
  return sums;
}

function cpuSince(before: CpuTimes, now: CpuTimes): CpuTimes {
  return Object.fromEntries(Object.entries(now).map(([name, ms]) => [name, ms - (before[name] ?? 0)]));
}

/** The same for each of so many things that were done. */
export function cpuOfEach(before: CpuTimes, now: CpuTimes, count: number): CpuTimes {
  const each = (ms: number) => Math.round((10 * ms) / count) / 10;
  return Object.fromEntries(Object.entries(cpuSince(before, now)).map(([name, ms]) => [name, each(ms)]));
}

/** Resident MiB of the process that plays the relayer: `stop` answers the most that was seen. */
export function watchMemory(): { stop(): number } {
  const all = processes();
  const ours = descendants(all, process.pid);
  const relayer = all.find(({ pid, command }) => ours.has(pid) && roleOf(command) === "relayer");
  let most = 0;
  const look = () => {
    const status = relayer ? readFileSync(`/proc/${relayer.pid}/status`, "utf8") : "";
    most = Math.max(most, Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
  };
  const timer = setInterval(look, 100);
  return {
    stop() {
      clearInterval(timer);
      look();
      return most;
    },
  };
}

function roleOf(command: string): string {
  const validator = /validator --config \S*\/(\S+)\.json/.exec(command)?.[1];
  if (validator) return "validators";
  if (command.includes(" service --config ")) return "relayer";
  const chain = /--network (\w+)/.exec(command)?.[1];
  if (chain) return `chain ${chain}`;
  return command.includes("core/db/embedded/child") ? "database" : "benchmark";
}

/** PostgreSQL names the database in the title of each of its processes. */
const backendOf = ({ command }: Process, database: string | undefined) =>
  database && command.startsWith("postgres:") && command.includes(` ${database} `) ? "database" : undefined;

function processes(): Process[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const [parent, user, system] = [1, 11, 12].map((place) => Number(fields[place]));
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      return [
        { pid: Number(pid), parent: parent ?? 0, command, cpuMs: (((user ?? 0) + (system ?? 0)) * 1000) / ticks },
      ];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
}

function descendants(all: readonly Process[], root: number): Set<number> {
  const found = new Set<number>();
  const add = (parent: number) => {
    for (const each of all) {
      if (each.parent !== parent || found.has(each.pid)) continue;
      found.add(each.pid);
      add(each.pid);
    }
  };
  add(root);
  return found;
}
