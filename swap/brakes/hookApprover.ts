import { createHmac } from "node:crypto";
import { hexToBytes } from "viem";
import { z } from "zod";
import { readAtMost } from "#core/http/readAtMost.ts";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Redacted } from "#core/kernel/redacted.ts";
import type { Log } from "#core/observe/log.ts";
import { type Approver, type Decision, type Question, questionSchema, words } from "./approver.ts";

const answerSchema = z.discriminatedUnion("decision", [
  z.strictObject({ decision: z.literal("accept"), reason: words.optional() }),
  z.strictObject({ decision: z.literal("hold"), reason: words.default("the hook says to wait") }),
  z.strictObject({ decision: z.literal("reject"), reason: words.default("the hook rejects it") }),
]);

const longestAnswer = 4_096;

const signatureHeader = "lockstep-signature";

/** `t`: Unix seconds; `v1`: HMAC-SHA-256 over that, a full stop and the body, under the shared secret. */
function signatureOf(body: string, time: bigint, secret: Redacted<Hex>): string {
  const mac = createHmac("sha256", hexToBytes(secret.reveal())).update(`${time}.${body}`).digest("hex");
  return `t=${time},v1=${mac}`;
}

/**
 * Asks a program of the operator's over HTTP: the question as JSON, answered with status 200 and
 * `{ "decision": "accept" | "hold" | "reject", "reason": "…" }`. Silence, redirects and anything else are a hold. The header
 * `lockstep-signature` lets the program tell who asks, when, and that nobody changed the question.
 */
export function createHookApprover(deps: {
  url: string;
  /** 32 bytes that the hook knows too. */
  secret: Redacted<Hex>;
  timeoutMs: number;
  clock: Clock;
  log: Log;
}): Approver {
  const { url, secret, timeoutMs, clock, log } = deps;
  const { host } = new URL(url);

  async function ask(question: Question, signal: AbortSignal): Promise<Decision | { readonly fault: string }> {
    const body = JSON.stringify(z.encode(questionSchema, question));
    const response = await fetch(url, {
      method: "POST",
      headers: {
        ...{ "content-type": "application/json", accept: "application/json" },
        [signatureHeader]: signatureOf(body, unixSeconds(clock), secret),
      },
      body,
      redirect: "manual",
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      return { fault: `status ${response.status}` };
    }
    const answer = parse(await readAtMost(response, longestAnswer));
    if (!answer) return { fault: "something that is no decision" };
    const { reason, ...rest } = answer;
    return { ...rest, ...(reason !== undefined && { reason }) } as Decision;
  }

  return {
    by: "hook",
    async decide(question, signal) {
      const said = await ask(question, signal).catch((error: unknown) => ({ fault: faultOf(error) }));
      if (!("fault" in said)) return said;
      log.warn({ swap: question.swap, step: question.step, host, fault: said.fault }, "approval hook gave no decision");
      return { decision: "hold", reason: `the hook at ${host} gave no decision: ${said.fault}` };
    },
  };
}

/** Only what kind of failure it was: messages of errors can quote the address, which may hold a key. */
function faultOf(error: unknown): string {
  return error instanceof Error && error.name === "TimeoutError" ? "no answer in time" : "no connection";
}

/** What says a thing twice could be read either way. */
function parse(text: string | undefined): z.output<typeof answerSchema> | undefined {
  try {
    if (text === undefined || (text.match(/"decision"\s*:/g) ?? []).length > 1) return undefined;
    return answerSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
