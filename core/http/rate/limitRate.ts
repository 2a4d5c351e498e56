import type { FastifyInstance, FastifyReply } from "fastify";
import type { RateLimitConfig } from "../../config/limits.ts";
import { LockstepError } from "../../kernel/errors.ts";
import { addressGroup } from "../addresses.ts";
import { isHealth } from "../requestLimits.ts";
import { type Buckets, type RatePolicy, type Taken, tokenMicros } from "./buckets.ts";

/** `config` is asked for each request: it may change. */
type Deps = { buckets: Buckets; config: () => RateLimitConfig };

/**
 * Limits how often an address may ask, whoever asks: goes before whatever finds out who that is, so that guessing is
 * limited too. Health is exempt. Throws `rate-limited`.
 */
export function limitAddresses(app: FastifyInstance, { buckets, config }: Deps): void {
  const limit = limiter("address", () => config().address, buckets);
  app.addHook("onRequest", (request, reply, done) => {
    if (isHealth(request)) return done();
    limit(reply, addressGroup(request.ip), done);
  });
}

/** Limits how often a caller may ask, wherever from; goes after whatever finds out who that is. Throws `rate-limited`. */
export function limitCallers(app: FastifyInstance, { buckets, config }: Deps): void {
  const limit = limiter("caller", () => config().caller, buckets);
  app.addHook("onRequest", ({ caller }, reply, done) => {
    if (!caller) return done();
    limit(reply, caller.id, done);
  });
}

type Limit = {
  readonly policy: RatePolicy;
  readonly header: string;
  /**
   * Of its buckets. Under another policy there are others: of one it is only known when it will be full, and as long as it
   * takes under a slow policy would be many times over what a fast one has.
   */
  readonly prefix: string;
};

/** The headers are those of draft-ietf-httpapi-ratelimit-headers: tokens, and seconds until the bucket is full. */
function limiter(name: "address" | "caller", policyNow: () => RatePolicy, buckets: Buckets) {
  const describe = ({ remaining, fullInMs }: Taken) => `"${name}";r=${remaining};t=${Math.ceil(fullInMs / 1_000)}`;
  let current: Limit | undefined;

  /** Made once a policy: it is asked for with every request. */
  function limitNow(): Limit {
    const policy = policyNow();
    if (current?.policy === policy) return current;
    const { perMinute, burst } = policy;
    const fullSeconds = Math.ceil((burst * tokenMicros(policy)) / 1_000_000);
    const header = `"${name}";q=${burst};w=${fullSeconds}`;
    current = { policy, header, prefix: `${name}:${perMinute}/${burst}:` };
    return current;
  }

  const judge = (reply: FastifyReply, { policy, header }: Limit, taken: Taken): Error | undefined => {
    // Once a caller is known its own limit is what it has to go by.
    reply.header("ratelimit-policy", header).header("ratelimit", describe(taken));
    if (taken.isAllowed) return undefined;
    return new LockstepError("rate-limited", `expected at most ${policy.perMinute} requests a minute of one ${name}`, {
      details: { retryAfterSeconds: Math.max(Math.ceil(taken.retryAfterMs / 1_000), 1), limit: name },
    });
  };
  return (reply: FastifyReply, key: string, done: (error?: Error) => void): void => {
    const limit = limitNow();
    const taken = buckets.take(limit.prefix + key, limit.policy);
    if (taken instanceof Promise) taken.then((found) => done(judge(reply, limit, found)), done);
    else done(judge(reply, limit, taken));
  };
}
