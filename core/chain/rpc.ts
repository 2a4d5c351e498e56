import { ExponentialBackoff, handleWhen, retry } from "cockatiel";
import { isLockstepError, LockstepError } from "../kernel/errors.ts";
import type { Log } from "../observe/log.ts";
import type { Answer, Endpoint, Question } from "./endpoint.ts";
import type { Endpoints } from "./endpoints.ts";
import { isRevert, printable } from "./refusal.ts";

/** Milliseconds before the first further try, on average; they double, with jitter. */
const firstPauseMs = 40;
const longestPauseMs = 500;

export type Rpc = {
  /** A read, at one endpoint after the other. Throws `chain-unreachable`, `chain-answer-invalid`. */
  ask<T>(question: Question<T>): Promise<Answer<T>>;
  /** As `ask`, where any error of the node throws `chain-request-refused`. */
  read<T>(question: Question<T>): Promise<T>;
  /** The same request to every endpoint at once, without another try. */
  askAll<T>(question: Question<T>): Promise<Answer<T>>[];
  /** Throws `chain-id-mismatch` if an endpoint that answers has another id, `chain-unreachable` if none answers. */
  verify(): Promise<void>;
};

/** JSON-RPC to the best of the endpoints of one chain, and to the next when it fails. */
export function createRpc(options: {
  readonly chain: string;
  readonly endpoints: Endpoints;
  /** Further tries after the first, each at the next endpoint. */
  readonly retries: number;
  readonly log: Log;
}): Rpc {
  const { chain, endpoints, log } = options;
  const again = retry(
    handleWhen((error) => isLockstepError(error) && error.retryable),
    {
      maxAttempts: options.retries,
      backoff: new ExponentialBackoff({ initialDelay: firstPauseMs, maxDelay: longestPauseMs }),
    },
  );

  /** The best that was not tried yet, or the best. */
  function next(tried: ReadonlySet<Endpoint>): Endpoint {
    const ranked = endpoints.ranked();
    return ranked.find((endpoint) => !tried.has(endpoint)) ?? (ranked[0] as Endpoint);
  }

  async function ask<T>(question: Question<T>): Promise<Answer<T>> {
    const tried = new Set<Endpoint>();
    let refused: Answer<T> | undefined;
    let failure: unknown;
    try {
      return await again.execute(async ({ attempt }) => {
        const endpoint = next(tried);
        // Whoever refused, for want of history for instance, refuses again.
        if (refused !== undefined && tried.has(endpoint)) return refused;
        tried.add(endpoint);
        const place = { chain, endpoint: endpoint.name, method: question.method };
        if (attempt > 0) log.debug({ ...place, attempt }, "read is tried again");
        const said = await endpoint.ask(question).catch((error: unknown) => {
          // That a circuit is open says less than why it was opened.
          failure ??= isLockstepError(error) && error.details.reason === "circuit-open" ? undefined : error;
          throw error;
        });
        if ("value" in said || isRevert(said.refused) || tried.size === endpoints.all.length) return said;
        refused = said;
        throw refusal(chain, question.method, said);
      });
    } catch (error) {
      if (refused !== undefined) return refused;
      throw failure ?? error;
    }
  }

  return {
    ask,
    async read(question) {
      const answer = await ask(question);
      if ("value" in answer) return answer.value;
      throw refusal(chain, question.method, answer);
    },
    askAll: (question) => endpoints.all.map((endpoint) => endpoint.askNow(question)),
    async verify() {
      const found = await Promise.allSettled(endpoints.all.map((endpoint) => endpoint.identify()));
      const failed = found.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
      const foreign = failed.find((error) => isLockstepError(error, "chain-id-mismatch"));
      if (foreign !== undefined || failed.length === endpoints.all.length) throw foreign ?? failed[0];
    },
  };
}

/** The node's own error as ours. */
export function refusal<T>(chain: string, method: string, answer: Exclude<Answer<T>, { value: T }>): LockstepError {
  const { code, message } = answer.refused;
  return new LockstepError("chain-request-refused", `${chain} refused ${method}: ${printable(message)}`, {
    details: { chain, method, rpc_code: code },
  });
}
