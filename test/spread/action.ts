import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { TaskArguments } from "hardhat/types/tasks";
import { errorResult, successfulResult } from "hardhat/utils/result";
import { patienceMs, processCount, toJobs } from "./jobs.ts";
import { type Summary, type SummaryMessage, spread } from "./spread.ts";

type Result = { readonly value?: { readonly summary?: Summary }; readonly error?: { readonly summary?: Summary } };

/**
 * Instead of the task `test nodejs` of the plugin. Files that are named run in this process, as the plugin has it. Without
 * any, all of them do, spread over several processes that run this task with some of the files each.
 */
export default async function testNodejs(
  args: TaskArguments,
  hre: HardhatRuntimeEnvironment,
  runSuper: (args: TaskArguments) => Promise<Result>,
): Promise<unknown> {
  const named = args.testFiles as readonly string[];
  const { coverage, gasStats, gasStatsJson } = hre.globalOptions;
  const isMeasured = coverage || gasStats || gasStatsJson !== undefined;
  const processes = processCount();
  if (named.length === 0 && processes > 1 && !isMeasured) return spreadAll(args, hre, processes);
  const testFiles = named.length > 0 ? named : allFiles(hre);
  const isJob = process.send !== undefined && process.env.LOCKSTEP_TEST_SLOT !== undefined;
  // Told that somebody else sums up, the plugin leaves sums and reasons out of what it prints.
  const result = await runSuper({ ...args, testFiles, ...(isJob && { testSummaryIndex: 1 }) });
  const summary = result.value?.summary ?? result.error?.summary;
  // The plugin counts tests: a suite whose `before` fails has none, is printed as failed, and passes.
  if (summary?.failed === 0 && (summary.failureOutput ?? "") !== "") process.exitCode = 1;
  if (isJob && summary !== undefined) await report(summary);
  return result;
}

/** To the process that spreads, where this is one of its jobs. */
function report(summary: Summary): Promise<void> {
  const message: SummaryMessage = { kind: "test-summary", summary };
  return new Promise((resolve) => {
    process.send?.(message, () => resolve());
  });
}

async function spreadAll(args: TaskArguments, hre: HardhatRuntimeEnvironment, processes: number) {
  if (args.noCompile !== true) {
    await hre.tasks.getTask("build").run({ noTests: hre.config.solidity.splitTestsCompilation });
  }
  const jobs = toJobs(allFiles(hre));
  const print = (text: string) => process.stdout.write(text);
  print(`Running node:test tests in ${processes} processes at a time (LOCKSTEP_TEST_PROCESSES)\n`);
  const cli = createRequire(import.meta.url)
    .resolve("hardhat/package.json")
    .replace("package.json", "dist/src/cli.js");
  const { grep, only } = args as { grep?: string; only?: boolean };
  const summary = await spread(jobs, {
    processes,
    command: [
      ...([cli, "test", "nodejs", "--no-compile"] as const),
      ...(grep === undefined ? [] : ["--grep", grep]),
      ...(only === true ? ["--only"] : []),
    ],
    patienceMs: patienceMs(),
    print,
  });
  print("\n");
  if (args.testSummaryIndex === 0) print(sums(summary));
  return summary.failed > 0 ? errorResult({ summary }) : successfulResult({ summary });
}

/** For a run of this task alone; the task that runs all kinds of tests prints its own. */
function sums({ passed, failed, skipped, todo, failureOutput }: Summary): string {
  const counts = Object.entries({ passing: passed, failing: failed, skipped, todo });
  const lines = counts.filter(([, count]) => count > 0).map(([what, count]) => `  ${count} ${what}\n`);
  return `${lines.join("")}\n${failureOutput}\n`;
}

function allFiles(hre: HardhatRuntimeEnvironment): string[] {
  const folder = hre.config.paths.tests.nodejs;
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => relative(process.cwd(), join(folder, file)));
}
