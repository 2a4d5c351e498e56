import type { FastifyInstance, FastifyReply } from "fastify";
import type { RateLimitConfig } from "../../config/limits.ts";
import { LockstepError } from "../../kernel/errors.ts";
import { addressGroup } from "../addresses.ts";
import { isHealth } from "../requestLimits.ts";
import { type Buckets, type RatePolicy, type Taken, tokenMicros } from "./buckets.ts";

type Deps = { buckets: Buckets; config: RateLimitConfig };

/**
 * Limits how often an address may ask, whoever asks: goes before whatever finds out who that is, so that guessing is
 * limited too. Health is exempt. Throws `rate-limited`.
 */
export function limitAddresses(app: FastifyInstance, { buckets, config }: Deps): void {
  const limit = limiter("address", config.address, buckets);
  app.addHook("onRequest", (request, reply, done) => {
    if (isHealth(request)) return done();
    limit(reply, addressGroup(request.ip), done);
  });
}

/** Limits how often a caller may ask, wherever from; goes after whatever finds out who that is. Throws `rate-limited`. */
export function limitCallers(app: FastifyInstance, { buckets, config }: Deps): void {
  const limit = limiter("caller", config.caller, buckets);
  app.addHook("onRequest", ({ caller }, reply, done) => {
    if (!caller) return done();
    limit(reply, caller.id, done);
  });
}

/** The headers are those of draft-ietf-httpapi-ratelimit-headers: tokens, and seconds until the bucket is full. */
function limiter(name: "address" | "caller", policy: RatePolicy, buckets: Buckets) {
  const fullSeconds = Math.ceil((policy.burst * tokenMicros(policy)) / 1_000_000);
  const policyHeader = `"${name}";q=${policy.burst};w=${fullSeconds}`;
  const describe = ({ remaining, fullInMs }: Taken) => `"${name}";r=${remaining};t=${Math.ceil(fullInMs / 1_000)}`;
  const judge = (reply: FastifyReply, taken: Taken): Error | undefined => {
    // Once a caller is known its own limit is what it has to go by.
    reply.header("ratelimit-policy", policyHeader).header("ratelimit", describe(taken));
    if (taken.isAllowed) return undefined;
    return new LockstepError("rate-limited", `expected at most ${policy.perMinute} requests a minute of one ${name}`, {
      details: { retryAfterSeconds: Math.max(Math.ceil(taken.retryAfterMs / 1_000), 1), limit: name },
    });
  };
  return (reply: FastifyReply, key: string, done: (error?: Error) => void): void => {
    const taken = buckets.take(`${name}:${key}`, policy);
    if (taken instanceof Promise) taken.then((found) => done(judge(reply, found)), done);
    else done(judge(reply, taken));
  };
}
