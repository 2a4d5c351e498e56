import { type HttpTransport, http } from "viem";
import type { z } from "zod";
import type { Clock } from "../kernel/clock.ts";
import { isLockstepError, LockstepError } from "../kernel/errors.ts";
import type { Log } from "../observe/log.ts";
import { printable } from "./refusal.ts";
import { type WireError, wireCount, wireError } from "./wire.ts";

const firstPauseMs = 50;

export type RpcOptions = {
  readonly chain: string;
  readonly chainId: number;
  readonly endpoints: readonly string[];
  readonly timeoutMs: number;
  /** Further tries after the first, each at the next endpoint. */
  readonly retries: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
};

/** What one endpoint said: a value of the expected shape, or the node's own error. */
export type Answer<T> = { readonly value: T } | { readonly refused: WireError };

export type Rpc = {
  /** A read, at one endpoint after the other. Throws `chain-unreachable`, `chain-answer-invalid`. */
  ask<T>(method: string, params: readonly unknown[], schema: z.ZodType<T>): Promise<Answer<T>>;
  /** As `ask`, where any error of the node throws `chain-request-refused`. */
  read<T>(method: string, params: readonly unknown[], schema: z.ZodType<T>): Promise<T>;
  /** The same request to every endpoint at once, without another try. */
  askAll<T>(method: string, params: readonly unknown[], schema: z.ZodType<T>): Promise<Answer<T>>[];
  /** Throws `chain-id-mismatch` if an endpoint that answers has another id, `chain-unreachable` if none answers. */
  verify(): Promise<void>;
};

type Endpoint = { readonly host: string; readonly request: ReturnType<HttpTransport>["request"]; verified: boolean };

/**
 * JSON-RPC to the endpoints of one chain. An endpoint is asked for its chain id before anything else, and again after
 * it was away. Errors of the transport never travel further: they quote the request, and a request can hold a secret.
 */
export function createRpc(options: RpcOptions): Rpc {
  const { chain, clock, log, timeoutMs } = options;
  const endpoints = options.endpoints.map(
    (url): Endpoint => ({
      host: new URL(url).host,
      request: http(url, { raw: true, retryCount: 0, timeout: timeoutMs })({ retryCount: 0 }).request,
      verified: false,
    }),
  );
  let preferred = 0;

  async function once<T>(endpoint: Endpoint, method: string, params: readonly unknown[], schema: z.ZodType<T>) {
    if (!endpoint.verified) await identify(endpoint);
    return exchange(endpoint, method, params, schema);
  }

  async function identify(endpoint: Endpoint): Promise<void> {
    const answer = await exchange(endpoint, "eth_chainId", [], wireCount);
    if ("refused" in answer) throw unreachable(endpoint, "refused");
    if (answer.value !== options.chainId) {
      throw new LockstepError(
        "chain-id-mismatch",
        `${endpoint.host} serves chain ${answer.value}, ${chain} is configured as ${options.chainId}`,
        { details: { chain, endpoint: endpoint.host, expected: options.chainId, found: answer.value } },
      );
    }
    endpoint.verified = true;
  }

  async function exchange<T>(
    endpoint: Endpoint,
    method: string,
    params: readonly unknown[],
    schema: z.ZodType<T>,
  ): Promise<Answer<T>> {
    let raw: { result?: unknown; error?: unknown };
    try {
      raw = (await endpoint.request({ method, params })) as typeof raw;
    } catch (error) {
      endpoint.verified = false;
      throw unreachable(endpoint, error instanceof Error ? error.name : "unknown");
    }
    if (raw.error !== undefined && raw.error !== null) {
      const refused = wireError.safeParse(raw.error);
      if (refused.success) return { refused: refused.data };
      throw invalid(endpoint, method, refused.error);
    }
    const parsed = schema.safeParse(raw.result);
    if (parsed.success) return { value: parsed.data };
    throw invalid(endpoint, method, parsed.error);
  }

  const unreachable = (endpoint: Endpoint, reason: string) =>
    new LockstepError("chain-unreachable", `${endpoint.host} did not answer for ${chain}`, {
      details: { chain, endpoint: endpoint.host, reason },
    });

  const invalid = (endpoint: Endpoint, method: string, error: z.ZodError) =>
    new LockstepError("chain-answer-invalid", `${endpoint.host} gave no valid answer to ${method}`, {
      details: { chain, endpoint: endpoint.host, method, at: error.issues[0]?.path.join(".") ?? "" },
    });

  async function ask<T>(method: string, params: readonly unknown[], schema: z.ZodType<T>): Promise<Answer<T>> {
    for (let attempt = 0; ; attempt++) {
      const endpoint = endpoints[preferred % endpoints.length] as Endpoint;
      try {
        return await once(endpoint, method, params, schema);
      } catch (error) {
        if (!isLockstepError(error) || !error.retryable || attempt >= options.retries) throw error;
        log.debug({ chain, endpoint: endpoint.host, method, code: error.code, attempt }, "read is tried again");
        preferred++;
        await clock.sleep(firstPauseMs * 2 ** attempt * (0.5 + options.random() / 2));
      }
    }
  }

  return {
    ask,
    async read(method, params, schema) {
      const answer = await ask(method, params, schema);
      if ("value" in answer) return answer.value;
      const { code, message } = answer.refused;
      throw new LockstepError("chain-request-refused", `${chain} refused ${method}: ${printable(message)}`, {
        details: { chain, method, rpc_code: code },
      });
    },
    askAll: (method, params, schema) => endpoints.map((endpoint) => once(endpoint, method, params, schema)),
    async verify() {
      const found = await Promise.allSettled(endpoints.map(identify));
      const failed = found.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
      const foreign = failed.find((error) => isLockstepError(error, "chain-id-mismatch"));
      if (foreign !== undefined || failed.length === endpoints.length) throw foreign ?? failed[0];
    },
  };
}
