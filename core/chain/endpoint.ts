import { BrokenCircuitError, circuitBreaker, ExponentialBackoff, handleWhen } from "cockatiel";
import type { z } from "zod";
import type { EndpointConfig } from "../config/chains.ts";
import type { Clock } from "../kernel/clock.ts";
import { isLockstepError, LockstepError } from "../kernel/errors.ts";
import type { EndpointHealth } from "./health.ts";
import { createTransport, type RawAnswer, TransportFailure } from "./transport.ts";
import { quantity, type WireError, wireCount, wireError } from "./wire.ts";

/** Failures in a row after which an endpoint is left alone for a while. */
const strikesToOpen = 5;
/** Milliseconds until an endpoint that was left alone is tried with one request, at first and at most. */
const firstRestMs = 250;
const longestRestMs = 3_000;
/** How often an endpoint is asked again for what it did not answer, while it is asked for nothing else. */
const mostDemands = 8;
/** Weight of the newest of all latencies in the average. */
const newest = 0.2;

/** A request, and what an answer to it has to look like. */
export type Question<T> = {
  readonly method: string;
  readonly params: readonly unknown[];
  readonly schema: z.ZodType<T>;
  /** False for an answer of the right shape that cannot answer this question. */
  readonly fits?: (value: T) => boolean;
  /** The chain's head, if the answer tells. */
  readonly headOf?: (value: T) => bigint | undefined;
};

/** What one endpoint said: a value of the expected shape, or the node's own error. */
export type Answer<T> = { readonly value: T } | { readonly refused: WireError };

/** What happened at an endpoint, for metrics. */
export type EndpointEvent =
  | {
      readonly kind: "request";
      readonly chain: string;
      readonly endpoint: string;
      readonly method: string;
      /** `answered`, `refused` by the node, `invalid`, or the reason why there was no answer. */
      readonly outcome: string;
    }
  /** One HTTP request, which may have carried several. */
  | { readonly kind: "exchange"; readonly chain: string; readonly endpoint: string; readonly ms: number };

/** One endpoint of a chain. Asked for its chain id before anything else, and again after it was away. */
export type Endpoint = {
  /** Its host: the rest of a URL may hold a key. */
  readonly name: string;
  readonly webSocket: string | undefined;
  readonly health: EndpointHealth;
  /** Throws `chain-unreachable` or `chain-answer-invalid`; without asking while the circuit is open. */
  ask<T>(question: Question<T>): Promise<Answer<T>>;
  /** As `ask`, but whatever its state, without waiting for a turn. Never at an endpoint of another chain. */
  askNow<T>(question: Question<T>): Promise<Answer<T>>;
  /** Throws `chain-id-mismatch` when it serves another chain, and is excluded until it does not any more. */
  identify(): Promise<void>;
  /** Asks for id and head, to find out how it is. The head, undefined when it gave none. Never throws. */
  probe(): Promise<bigint | undefined>;
};

export type EndpointOptions = {
  readonly chain: string;
  readonly chainId: number;
  readonly name: string;
  readonly config: EndpointConfig;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly onEvent: (event: EndpointEvent) => void;
};

const idQuestion: Question<number> = { method: "eth_chainId", params: [], schema: wireCount };
const headQuestion: Question<bigint> = {
  method: "eth_blockNumber",
  params: [],
  schema: quantity,
  headOf: (head) => head,
};

export function createEndpoint(options: EndpointOptions): Endpoint {
  const { chain, name, config, clock, onEvent } = options;
  const health: EndpointHealth = { verified: false, foreign: false, open: false, strikes: 0, lagging: false };
  const transport = createTransport({
    ...{ url: config.url, timeoutMs: options.timeoutMs },
    ...{ maxConcurrent: config.maxConcurrent ?? 16, maxBatch: config.maxBatch ?? 50 },
    onExchange(outcome) {
      if (!("ms" in outcome)) return;
      const { latencyMs = outcome.ms } = health;
      health.latencyMs = latencyMs + newest * (outcome.ms - latencyMs);
      onEvent({ kind: "exchange", chain, endpoint: name, ms: outcome.ms });
    },
  });
  const circuit = circuitOf(health);
  /** The failure that was counted last: requests that failed together count once. */
  let counted: unknown;
  /**
   * Asks once more what it failed to answer: it may answer probes, and is not well before it answers a read. Given up
   * after `mostDemands`, since the question itself may be at fault (a range of logs that is too much for any node).
   */
  let owed: (() => Promise<unknown>) | undefined;

  const fail = (code: "chain-unreachable" | "chain-answer-invalid", reason: string, method: string, at = "") => {
    const words = code === "chain-unreachable" ? `did not answer for ${chain}` : `gave no valid answer to ${method}`;
    const details = { chain, endpoint: name, method, reason, ...(at !== "" && { at }) };
    const outcome = code === "chain-unreachable" ? reason : "invalid";
    onEvent({ kind: "request", chain, endpoint: name, method, outcome });
    return new LockstepError(code, `${name} ${words}`, { details });
  };

  function strike(reason: string, cause: unknown): void {
    health.reason = reason;
    if (cause === counted) return;
    counted = cause;
    health.strikes += 1;
  }

  async function exchange<T>(question: Question<T>, send: typeof transport.request): Promise<Answer<T>> {
    const { method, params } = question;
    let raw: RawAnswer;
    try {
      raw = await send(method, params);
    } catch (error) {
      const reason = error instanceof TransportFailure ? error.reason : "unknown";
      if (reason !== "busy") {
        health.verified = false;
        strike(reason, error);
      }
      throw fail("chain-unreachable", reason, method);
    }
    const answer = read(question, raw);
    if (owed === undefined) health.strikes = 0;
    health.lastGoodAt = clock.now();
    onEvent({ kind: "request", chain, endpoint: name, method, outcome: "value" in answer ? "answered" : "refused" });
    return answer;
  }

  function read<T>(question: Question<T>, raw: RawAnswer): Answer<T> {
    const answer = parseAnswer(question, raw);
    if ("invalid" in answer) {
      strike("answer-invalid", raw);
      throw fail("chain-answer-invalid", "answer-invalid", question.method, answer.invalid);
    }
    const head = "value" in answer ? question.headOf?.(answer.value) : undefined;
    if (head !== undefined) health.head = head;
    return answer;
  }

  /** Counts as one request for the circuit, whatever is asked in it. */
  async function guarded<T>(method: string, work: () => Promise<T>): Promise<T> {
    try {
      return await circuit.execute(work);
    } catch (error) {
      throw error instanceof BrokenCircuitError ? fail("chain-unreachable", "circuit-open", method) : error;
    }
  }

  async function readAt<T>(question: Question<T>, send: typeof transport.request, demands = 0): Promise<Answer<T>> {
    try {
      const answer = await exchange(question, send);
      owed = undefined;
      health.strikes = 0;
      return answer;
    } catch (error) {
      // In an HTTP request of its own, or others would hang with it.
      const again = () => readAt(question, transport.requestNow, demands + 1);
      if (isFault(error)) owed = demands < mostDemands ? again : undefined;
      throw error;
    }
  }

  function recognise(answer: Answer<number>): void {
    if ("refused" in answer) {
      strike("refused", answer);
      throw fail("chain-unreachable", "refused", idQuestion.method);
    }
    health.foreign = answer.value !== options.chainId;
    health.verified = !health.foreign;
    if (!health.foreign) return;
    throw new LockstepError(
      "chain-id-mismatch",
      `${name} serves chain ${answer.value}, ${chain} is configured as ${options.chainId}`,
      { details: { chain, endpoint: name, expected: options.chainId, found: answer.value } },
    );
  }

  const identifyNow = async (send: typeof transport.request) => recognise(await exchange(idQuestion, send));

  /** At run time a foreign endpoint is one that cannot be used; the chain goes on with others. */
  async function admitted(send: typeof transport.request): Promise<void> {
    if (health.verified) return;
    try {
      await identifyNow(send);
    } catch (error) {
      throw isLockstepError(error, "chain-id-mismatch")
        ? fail("chain-unreachable", "wrong-chain", "eth_chainId")
        : error;
    }
  }

  return {
    name,
    webSocket: config.webSocket,
    health,
    ask: (question) =>
      guarded(question.method, async () => {
        await admitted(transport.request);
        return readAt(question, transport.request);
      }),
    async askNow(question) {
      await admitted(transport.requestNow);
      return exchange(question, transport.requestNow);
    },
    identify: () => guarded(idQuestion.method, () => identifyNow(transport.request)),
    async probe() {
      const looks = guarded(headQuestion.method, async () => {
        const [, head] = await Promise.all([
          identifyNow(transport.request),
          exchange(headQuestion, transport.request),
          owed?.(),
        ]);
        return "value" in head ? head.value : undefined;
      });
      return looks.catch(() => undefined);
    },
  };
}

/** Open after failures in a row, which `health` counts. */
function circuitOf(health: EndpointHealth) {
  const circuit = circuitBreaker(handleWhen(isFault), {
    halfOpenAfter: new ExponentialBackoff({ initialDelay: firstRestMs, maxDelay: longestRestMs }),
    breaker: {
      state: undefined,
      success: () => undefined,
      failure: () => health.strikes >= strikesToOpen,
    },
  });
  circuit.onBreak(() => {
    health.open = true;
  });
  circuit.onReset(() => {
    health.open = false;
  });
  return circuit;
}

/** The answer, or where it is not one. */
function parseAnswer<T>({ schema, fits }: Question<T>, raw: RawAnswer): Answer<T> | { readonly invalid: string } {
  if (raw.error !== undefined && raw.error !== null) {
    const refused = wireError.safeParse(raw.error);
    return refused.success ? { refused: refused.data } : { invalid: "error" };
  }
  const parsed = schema.safeParse(raw.result);
  if (!parsed.success) return { invalid: parsed.error.issues[0]?.path.join(".") ?? "" };
  return fits?.(parsed.data) === false ? { invalid: "another question" } : { value: parsed.data };
}

const notFaults: readonly unknown[] = ["busy", "wrong-chain"];

const isFault = (error: unknown) =>
  isLockstepError(error) && !notFaults.includes(error.details.reason) && error.code !== "chain-id-mismatch";
