import { encodeFunctionData } from "viem";
import { testTokenAbi } from "#core/abi/testToken.ts";
import type { Network } from "../network/network.ts";
import type { ApiClient, SwapAnswer, TimelineEntry } from "./api.ts";
import type { Ledger } from "./ledger.ts";

type StepResult = { name: string; gasUsed: number; latencyMs?: number };
export type SwapResult = { name: string; id: string; status: string; expected: string; steps: StepResult[] };

/** One coin of alpha for 2,500 tokens of beta: what each swap of the demo is about. */
export const coinAmount = 10n ** 18n;
export const tokenAmount = 2_500_000_000n;

const timeoutMs = 120_000;
const endings = ["completed", "refunded", "failed", "initiatorLost", "counterpartyLost"];

export type Scenario = {
  readonly name: string;
  readonly initiator: string;
  readonly counterparty: string;
  readonly expected: string;
  /** Account that the issuer of beta's token freezes first. */
  readonly frozen?: string;
  /** Seconds; short ones for what ends in refunds. */
  readonly timelocks?: { readonly source: number; readonly target: number };
};

/**
 * A token issuer that freezes an account is how a counterparty fails in real life: frozen as sender it can never lock,
 * frozen as receiver the initiator can never be paid and so never shows the secret.
 */
export const scenarios: readonly Scenario[] = [
  { name: "completed", initiator: "alice", counterparty: "bob", expected: "completed" },
];

export const refundScenarios = (timelocks: { source: number; target: number }): readonly Scenario[] => [
  {
    name: "counterparty never locks",
    initiator: "alice",
    counterparty: "carol",
    frozen: "carol",
    expected: "refunded",
    timelocks,
  },
  { name: "nobody claims", initiator: "dave", counterparty: "bob", frozen: "dave", expected: "refunded", timelocks },
];

/** Requests a swap and follows it to its end. */
export async function showSwap(
  network: Network,
  api: ApiClient,
  ledger: Ledger,
  scenario: Scenario,
): Promise<SwapResult> {
  const { id } = await api.post<SwapAnswer>("/v1/swaps", {
    source: { chain: "alpha", asset: { type: "native" }, amount: coinAmount.toString() },
    target: {
      chain: "beta",
      asset: { type: "erc20", address: network.chains.beta?.deployment.token },
      amount: tokenAmount.toString(),
    },
    initiator: { account: scenario.initiator },
    counterparty: { account: scenario.counterparty },
    ...(scenario.timelocks && { timelocks: scenario.timelocks }),
  });
  const answer = await api.until<SwapAnswer>(`/v1/swaps/${id}`, ({ status }) => endings.includes(status), timeoutMs);
  const { name, expected } = scenario;
  return { name, id, status: answer.status, expected, steps: await stepsOf(answer.timeline, ledger) };
}

/** What the issuer of beta's token can do to an account. */
export async function freeze(network: Network, account: string): Promise<void> {
  const beta = network.chains.beta;
  const address = network.accounts[account]?.address;
  if (!beta || !address) throw new RangeError(`no account ${account}`);
  await beta.deployer.send(
    beta.deployment.token,
    encodeFunctionData({ abi: testTokenAbi, functionName: "setFrozen", args: [address, true] }),
  );
}

/** The steps that can have had an effect. */
const verbs: Readonly<Record<string, readonly string[]>> = {
  ...{ LegDetected: ["lock"], LegClaimed: ["claim"] },
  LegRefunded: ["refund", "refund-early"],
};

/**
 * Each step that had its effect: from the decision to take it until the service saw it on the chain; without that time
 * where the service did not decide it.
 */
async function stepsOf(timeline: readonly TimelineEntry[], ledger: Ledger): Promise<StepResult[]> {
  const steps: StepResult[] = [];
  for (const [i, effect] of timeline.entries()) {
    const names = verbs[effect.what]?.map((verb) => `${verb}-${effect.leg}`);
    if (!names || !effect.transactionHash) continue;
    const decided = timeline
      .slice(0, i)
      .findLast(({ what, detail }) => what === "StepStarted" && names.includes(stepOf(detail)));
    const gasUsed = Number(await ledger.gasUsed(effect.leg === "source" ? "alpha" : "beta", effect.transactionHash));
    const latencyMs = decided && Date.parse(effect.at) - Date.parse(decided.at);
    const name = decided ? stepOf(decided.detail) : String(names[0]);
    steps.push({ name, gasUsed, ...(latencyMs !== undefined && { latencyMs }) });
  }
  return steps;
}

/** The step that was started, as the timeline has it: "lock-source, attempt 1". */
const stepOf = (detail = ""): string => detail.replace(/,.*/, "");
