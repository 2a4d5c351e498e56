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
  /** The failure that was counted last: requests that failed together count once. */
  let counted: unknown;

  const fail = (code: "chain-unreachable" | "chain-answer-invalid", reason: string, method: string, at = "") => {
    const words = code === "chain-unreachable" ? `did not answer for ${chain}` : `gave no valid answer to ${method}`;
    const details = { chain, endpoint: name, method, reason, ...(at !== "" && { at }) };
    onEvent({
      kind: "request",
      chain,
      endpoint: name,
      method,
      outcome: code === "chain-unreachable" ? reason : "invalid",
    });
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
    health.strikes = 0;
    health.lastGoodAt = clock.now();
    onEvent({ kind: "request", chain, endpoint: name, method, outcome: "value" in answer ? "answered" : "refused" });
    return answer;
  }

  function read<T>({ method, schema, fits, headOf }: Question<T>, raw: RawAnswer): Answer<T> {
    const invalid = (at: string) => {
      strike("answer-invalid", raw);
      return fail("chain-answer-invalid", "answer-invalid", method, at);
    };
    if (raw.error !== undefined && raw.error !== null) {
      const refused = wireError.safeParse(raw.error);
      if (refused.success) return { refused: refused.data };
      throw invalid("error");
    }
    const parsed = schema.safeParse(raw.result);
    if (!parsed.success) throw invalid(parsed.error.issues[0]?.path.join(".") ?? "");
    if (fits?.(parsed.data) === false) throw invalid("another question");
    const head = headOf?.(parsed.data);
    if (head !== undefined) health.head = head;
    return { value: parsed.data };
  }

  async function guarded<T>(question: Question<T>): Promise<Answer<T>> {
    try {
      return await circuit.execute(() => exchange(question, transport.request));
    } catch (error) {
      throw error instanceof BrokenCircuitError ? fail("chain-unreachable", "circuit-open", question.method) : error;
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

  const identify = async () => recognise(await guarded(idQuestion));

  /** At run time a foreign endpoint is one that cannot be used; the chain goes on with others. */
  async function admitted(identification: () => Promise<void>): Promise<void> {
    if (health.verified) return;
    try {
      await identification();
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
    async ask(question) {
      await admitted(identify);
      return guarded(question);
    },
    async askNow(question) {
      await admitted(async () => recognise(await exchange(idQuestion, transport.requestNow)));
      return exchange(question, transport.requestNow);
    },
    identify,
    async probe() {
      const [identified, head] = await Promise.allSettled([identify(), guarded(headQuestion)]);
      if (identified.status === "rejected" || head.status === "rejected") return undefined;
      return "value" in head.value ? head.value.value : undefined;
    },
  };
}

const isFault = (error: unknown) =>
  isLockstepError(error) && error.details.reason !== "busy" && error.code !== "chain-id-mismatch";
