import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApiClient } from "../demo/api.ts";
import { checkBalances } from "../demo/balances.ts";
import { createLedger } from "../demo/ledger.ts";
import { type MessageResult, showMessage } from "../demo/messages.ts";
import { freeze, refundScenarios, type SwapResult, scenarios, showSwap } from "../demo/swaps.ts";
import { type Network, startNetwork } from "../network/network.ts";
import { askedToStop } from "../signals.ts";
import { print, printError, table } from "../terminal.ts";
import { readOptions } from "./options.ts";
import { demoCommand } from "./specs.ts";

/** Seconds; a few above the least that the local chains' bounds allow. */
const shortTimelocks = { target: 24, source: 36 };

export type DemoReport = {
  ok: boolean;
  messages: MessageResult[];
  swaps: SwapResult[];
  failures: string[];
};

/** `npm run demo`: everything once, on a network of its own, checked against the chains. Exit code 1 if anything is off. */
export async function runDemo(args: readonly string[]): Promise<number> {
  const values = readOptions(demoCommand, args);
  const say = values.json ? printError : print;
  const dataDir = values["data-dir"] ?? mkdtempSync(join(tmpdir(), "lockstep-demo-"));
  const ports = { api: 0, alpha: 0, beta: 0, validators: 0 };
  const network = await startNetwork({ dataDir, ports, say });
  const interrupted = askedToStop().then(() => undefined);
  try {
    const report = await Promise.race([show(network, say), interrupted]);
    if (!report) return 130;
    if (values.json) print(JSON.stringify(report));
    else describe(report);
    return report.ok ? 0 : 1;
  } finally {
    await network.stop();
    if (values["data-dir"] === undefined) rmSync(dataDir, { recursive: true, force: true });
  }
}

async function show(network: Network, say: (line: string) => void): Promise<DemoReport> {
  const api = createApiClient({ url: network.api, token: network.token() });
  const ledger = createLedger(network);
  const parties = ["alice", "bob", "carol", "dave"];
  const before = await ledger.holdings(parties);

  say("sending a message each way …");
  const messages = await Promise.all([
    showMessage(network, api, "alpha", "beta"),
    showMessage(network, api, "beta", "alpha"),
  ]);
  say("swapping one coin of alpha for 2,500 tokens of beta …");
  const swaps: SwapResult[] = [];
  for (const scenario of scenarios) swaps.push(await showSwap(network, api, ledger, scenario));
  say(`two swaps that cannot complete, until their timelocks run out (${shortTimelocks.source} s) …`);
  const refunds = refundScenarios(shortTimelocks);
  for (const { frozen } of refunds) if (frozen) await freeze(network, frozen);
  swaps.push(...(await Promise.all(refunds.map((scenario) => showSwap(network, api, ledger, scenario)))));

  const after = await ledger.holdings(parties);
  const failures = [
    ...messages
      .filter(({ status }) => status !== "delivered")
      .map(({ lane, status }) => `message ${lane} is ${status}`),
    ...swaps
      .filter(({ status, expected }) => status !== expected)
      .map(({ name, status, expected }) => `swap "${name}" is ${status}, expected ${expected}`),
    ...checkBalances(before, after, [...scenarios, ...refunds]),
  ];
  return { ok: failures.length === 0, messages, swaps, failures };
}

function describe({ ok, messages, swaps, failures }: DemoReport): void {
  print();
  print(
    table(
      ["message", "status", "latency"],
      messages.map(({ lane, status, latencyMs }) => [lane, status, `${latencyMs} ms`]),
    ),
  );
  print();
  const rows = swaps.flatMap(({ name, status, steps }) =>
    steps.map((step, i) => [
      i === 0 ? name : "",
      i === 0 ? status : "",
      step.name,
      step.gasUsed.toLocaleString("en"),
      step.latencyMs === undefined ? "" : `${step.latencyMs} ms`,
    ]),
  );
  print(table(["swap", "status", "step", "gas", "latency"], rows));
  print();
  for (const failure of failures) print(`WRONG: ${failure}`);
  print(ok ? "Everything arrived, and every balance is what it should be." : "Something is off; see above.");
}
