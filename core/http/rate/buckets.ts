/** So many tokens at most, refilled evenly. */
export type RatePolicy = { readonly perMinute: number; readonly burst: number };

/** What a bucket says to one who takes a token. Times in milliseconds. */
export type Taken = {
  readonly isAllowed: boolean;
  /** Whole tokens left. */
  readonly remaining: number;
  /** Until the next token, 0 where there is one. */
  readonly retryAfterMs: number;
  readonly fullInMs: number;
};

/** Token buckets by key, one token at a time. */
/** Answers at once where it can: a promise a request would be felt on the fastest routes. */
export type Buckets = { take(key: string, policy: RatePolicy): Taken | Promise<Taken> };

/** Microseconds that one token takes to come. */
export const tokenMicros = ({ perMinute }: RatePolicy): number => Math.ceil(60_000_000 / perMinute);

/**
 * Takes a token of a bucket. All that is known of one is when it will be full (`fullAt`, microseconds; nothing for a full
 * one), as in the generic cell rate algorithm (ITU-T I.371). Pure.
 */
export function takeToken(
  fullAt: number | undefined,
  now: number,
  policy: RatePolicy,
): { readonly fullAt: number; readonly taken: Taken } {
  const token = tokenMicros(policy);
  const whole = policy.burst * token;
  const before = Math.max(fullAt ?? now, now);
  const after = before + token;
  const isAllowed = after - now <= whole;
  return isAllowed
    ? { fullAt: after, taken: takenOf(true, after - now, token, whole) }
    : { fullAt: before, taken: takenOf(false, before - now, token, whole) };
}

/** `missing`: microseconds until the bucket is full. */
export function takenOf(isAllowed: boolean, missing: number, token: number, whole: number): Taken {
  const remaining = Math.max(Math.floor((whole - missing) / token), 0);
  const wait = remaining > 0 ? 0 : Math.max(missing + token - whole, 0);
  return { isAllowed, remaining, retryAfterMs: wait / 1_000, fullInMs: missing / 1_000 };
}
