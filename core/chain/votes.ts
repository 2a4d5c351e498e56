import { ExponentialBackoff, handleWhen, retry } from "cockatiel";
import { isLockstepError, LockstepError } from "../kernel/errors.ts";
import { toJson } from "../kernel/json.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Endpoints } from "./endpoints.ts";

const pauseMs = 40;

/** What is asked of every endpoint, and when two answers are the same. */
export type Ballot<T> = {
  readonly method: string;
  /** One endpoint's answer; undefined when it has none, which is not a vote. Rejecting is silence. */
  ask(endpoint: Endpoint): Promise<T | undefined>;
  /** What endpoints have to agree on, when that is not everything. */
  essence?(value: T): unknown;
  /** The height that the answer is about: who contradicts it at or below a final one is named. */
  heightOf(value: T): bigint | undefined;
};

/** Readings that count only when enough endpoints give the same. Lag, silence and empty answers are not votes. */
export type Votes = {
  readonly needed: number;
  /** Those that are asked. */
  voters(): readonly Endpoint[];
  /**
   * What `needed` endpoints say, as soon as they have said it. Undefined when that many have nothing to say, or when some
   * have nothing and too few others answered. Throws `chain-no-agreement`.
   */
  take<T>(ballot: Ballot<T>, among?: readonly Endpoint[]): Promise<T | undefined>;
  /** Remembers that the chain is final up to this height. */
  finalUpTo(height: bigint): void;
};

type Cast<T> = { readonly endpoint: Endpoint; readonly value: T; readonly spelled: string };

export function createVotes(options: {
  readonly chain: string;
  readonly endpoints: Endpoints;
  readonly needed: number;
  readonly retries: number;
}): Votes {
  const { chain, endpoints, needed } = options;
  let final = -1n;
  const again = retry(
    handleWhen((error) => isLockstepError(error, "chain-no-agreement")),
    { maxAttempts: options.retries, backoff: new ExponentialBackoff({ initialDelay: pauseMs }) },
  );

  /** An endpoint that is left alone would only hold up the others; it is asked when there are too few of those. */
  function voters(): readonly Endpoint[] {
    const ranked = endpoints.ranked().filter((endpoint) => endpoints.stateOf(endpoint) !== "excluded");
    const answering = ranked.filter((endpoint) => endpoints.stateOf(endpoint) !== "open");
    return answering.length >= needed ? answering : ranked;
  }

  function nameOddOnes<T>(ballot: Ballot<T>, cast: readonly Cast<T>[], winner: Cast<T>): void {
    const height = ballot.heightOf(winner.value);
    if (height === undefined || height > final) return;
    for (const { endpoint, spelled } of cast) {
      if (spelled !== winner.spelled) endpoints.contradicted(endpoint, ballot.method);
    }
  }

  function once<T>(ballot: Ballot<T>, asked: readonly Endpoint[]): Promise<T | undefined> {
    const result = Promise.withResolvers<T | undefined>();
    const cast: Cast<T>[] = [];
    let empty = 0;
    let left = asked.length;
    let winner: Cast<T> | undefined;

    /** Called after every answer; those that come late are still compared. */
    function count(): void {
      winner ??= cast.find(({ spelled }) => cast.filter((other) => other.spelled === spelled).length >= needed);
      if (winner !== undefined) {
        nameOddOnes(ballot, cast, winner);
        result.resolve(winner.value);
      } else if (empty >= needed || (left === 0 && empty > 0 && cast.length < needed)) {
        result.resolve(undefined);
      } else if (left === 0) {
        result.reject(noAgreement(chain, ballot.method, needed, cast));
      }
    }

    async function ask(endpoint: Endpoint): Promise<void> {
      const answer = await ballot.ask(endpoint).then(
        (value) => ({ value }),
        () => "silence" as const,
      );
      left -= 1;
      if (answer !== "silence") {
        const { value } = answer;
        if (value === undefined) empty += 1;
        else cast.push({ endpoint, value, spelled: toJson(ballot.essence?.(value) ?? value) });
      }
      count();
    }
    if (asked.length === 0) count();
    for (const endpoint of asked) void ask(endpoint);
    return result.promise;
  }

  return {
    needed,
    voters,
    take: (ballot, among) => again.execute(() => once(ballot, among ?? voters())),
    finalUpTo(height) {
      if (height > final) final = height;
    },
  };
}

export function noAgreement<T>(
  chain: string,
  method: string,
  needed: number,
  cast: readonly Pick<Cast<T>, "endpoint">[],
): LockstepError {
  return new LockstepError("chain-no-agreement", `fewer than ${needed} endpoints of ${chain} agree on ${method}`, {
    details: { chain, method, needed, answered: cast.map(({ endpoint }) => endpoint.name) },
  });
}
