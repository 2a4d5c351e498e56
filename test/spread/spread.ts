import { type ChildProcess, fork } from "node:child_process";
import type { Job } from "./jobs.ts";

/** How the tests of a job ended, in numbers, and why some failed. */
export type Summary = {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly todo: number;
  readonly failureOutput: string;
};

/** What a job's process sends as soon as its tests are through. */
export type SummaryMessage = { readonly kind: "test-summary"; readonly summary: Summary };

export type SpreadOptions = {
  /** Jobs that run at a time. */
  readonly processes: number;
  /** Script and arguments of a job's process; its files come after them. */
  readonly command: readonly [script: string, ...args: string[]];
  /** Longest time in which a job prints nothing and does not end, in milliseconds; then it is killed, and has failed. */
  readonly patienceMs: number;
  /** Longest time between its report and its end, in milliseconds: it has nothing more to do than to close what it opened. */
  readonly closingMs?: number;
  readonly onEnd?: (job: Job, summary: Summary) => void;
  print(text: string): void;
};

type End = { readonly how: string; readonly isGood: boolean };

const endWithParent = new URL("../../app/network/endWithParent.ts", import.meta.url).href;

/**
 * Runs every job in a process of its own, several at a time, and prints each report whole when its job ends. A process
 * that ends badly, too early or not at all counts as one failed test more, whatever else it reported.
 */
export async function spread(jobs: readonly Job[], options: SpreadOptions): Promise<Summary> {
  const waiting = [...jobs];
  const ended: Summary[] = [];
  const work = async (_: unknown, slot: number) => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
      const begun = performance.now();
      const { output, summary } = await runJob(job, slot, options);
      ended.push(summary);
      options.onEnd?.(job, summary);
      const seconds = Math.round((performance.now() - begun) / 1_000);
      options.print(
        `\n── ${job.name} (${seconds} s, ${ended.length} of ${jobs.length})\n${output.trimEnd()}\n${summary.failureOutput}\n`,
      );
    }
  };
  await Promise.all(Array.from({ length: options.processes }, work));
  return ended.reduce(add, { passed: 0, failed: 0, skipped: 0, todo: 0, failureOutput: "" });
}

async function runJob(job: Job, slot: number, options: SpreadOptions): Promise<{ output: string; summary: Summary }> {
  const [script, ...args] = options.command;
  const child = fork(script, [...args, ...job.files], {
    execArgv: ["--import", endWithParent],
    env: { ...process.env, LOCKSTEP_TEST_SLOT: String(slot) },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let reported: Summary | undefined;
  const { output, end } = await follow(child, options, (summary) => {
    reported = summary;
  });
  return { output, summary: judge(job, reported, end) };
}

/** Until the process has ended and all that it printed is there. */
function follow(child: ChildProcess, options: SpreadOptions, report: (summary: Summary) => void) {
  const { patienceMs, closingMs = 30_000 } = options;
  return new Promise<{ output: string; end: End }>((resolve) => {
    let output = "";
    let killed: string | undefined;
    const kill = (why: string) => {
      killed = why;
      child.kill("SIGKILL");
    };
    const silent = () => kill(`was killed after ${patienceMs / 1_000} s without a word`);
    let timer = setTimeout(silent, patienceMs);
    const heard = (text: string) => {
      output += text;
      timer.refresh();
    };
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", heard);
    child.on("message", (message: SummaryMessage) => {
      if (message.kind !== "test-summary") return;
      report(message.summary);
      clearTimeout(timer);
      timer = setTimeout(() => kill("did not end after its tests: something is still open"), closingMs);
    });
    const over = (how: string, isGood: boolean) => {
      clearTimeout(timer);
      resolve({ output, end: { how: killed ?? how, isGood } });
    };
    child.once("error", (error) => over(error.message, false));
    child.once("exit", (code, signal) => {
      // What outlives it may hold on to its output.
      const closed = setTimeout(() => child.stdout?.destroy() && child.stderr?.destroy(), 1_000);
      child.once("close", () => {
        clearTimeout(closed);
        over(`ended with ${signal ?? `status ${code}`}`, code === 0);
      });
    });
  });
}

/** What a job's numbers are, whether or not its process got to report them. */
function judge(job: Job, reported: Summary | undefined, end: End): Summary {
  const none = { passed: 0, failed: 0, skipped: 0, todo: 0, failureOutput: "" };
  const { failureOutput, ...summary } = reported ?? none;
  const title = `── ${job.name}`;
  if (reported === undefined) {
    return { ...summary, failed: 1, failureOutput: `${title} ${end.how}, before its tests were through` };
  }
  // A suite that could not be set up is in the output and in no number.
  if (failureOutput !== "")
    return { ...summary, failed: summary.failed || 1, failureOutput: `${title}\n\n${failureOutput}` };
  if (end.isGood) return reported;
  return {
    ...summary,
    failed: summary.failed + 1,
    failureOutput: `${title} ${end.how}, though its tests were through`,
  };
}

function add(a: Summary, b: Summary): Summary {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
    todo: a.todo + b.todo,
    failureOutput: [a.failureOutput, b.failureOutput].filter((text) => text !== "").join("\n\n"),
  };
}
