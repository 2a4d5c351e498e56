import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { errorTable, isLockstepError, LockstepError } from "../../kernel/errors.ts";
import type { Mark } from "../../kernel/mark.ts";
import { placeOf } from "../location.ts";
import type { IdempotencyKeys, Keyed } from "./keys.ts";
import type { Once } from "./once.ts";

/** What `serve` needs for requests that carry a key. */
export type Idempotency = { readonly keys: IdempotencyKeys; readonly mark: Mark };

declare module "fastify" {
  interface FastifyInstance {
    idempotency: Idempotency | undefined;
  }
  interface FastifyRequest {
    /** SHA-256 of the bytes of the body; undefined where there is none. */
    bodyDigest: Buffer | undefined;
  }
}

const readingMethods = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * The key that a request carries, if it has an effect and its sender is known. What is signed inside repeats by itself,
 * and what only reads does. Throws `request-invalid` for what cannot be a key.
 */
export function keyOf(request: FastifyRequest): Keyed | undefined {
  const key = request.headers["idempotency-key"];
  const { caller, method, url, bodyDigest } = request;
  if (key === undefined || caller === undefined || readingMethods.has(method)) return undefined;
  if (typeof key !== "string" || !/^[\x20-\x7e]{1,255}$/.test(key)) {
    throw new LockstepError("request-invalid", "Idempotency-Key: expected 1 to 255 printable characters", {
      details: { field: "Idempotency-Key" },
    });
  }
  const fingerprint = createHash("sha256").update(`${method} ${url}\n`);
  if (bodyDigest) fingerprint.update(bodyDigest);
  return { caller: caller.id, key, fingerprint: fingerprint.digest() };
}

/** A request apart from its key. */
type Keyless = {
  readonly status: number;
  /** For marks, e.g. `POST /v1/swaps`. */
  readonly route: string;
  /** Where the answer's thing is, as routes declare it. */
  readonly location?: string | undefined;
  run(once: Once): unknown;
};

/**
 * Runs a request at most once to an answer, which every repetition gets. Refusals (4xx) have had no effect and leave the
 * key as it was; after a failure (5xx) the next repetition runs again, under the same id. Throws `idempotency-key-reused`
 * and `idempotency-key-busy`.
 */
export async function answerOnce(
  { keys, mark }: Idempotency,
  request: Keyed,
  reply: FastifyReply,
  { status, route, location, run }: Keyless,
): Promise<FastifyReply> {
  const claim = await keys.claim(request);
  if (claim.state === "answered") return send(reply.header("idempotent-replayed", "true"), claim.answer, location);
  if (claim.state !== "mine") throw refusal(claim);
  let body: string;
  try {
    mark(`begun/${route}`);
    const answer = await run(claim.once);
    mark(`effected/${route}`);
    body = reply.code(status).serialize(answer) as string;
  } catch (error) {
    // Should that fail as well, the lease ends by itself.
    await keys.release(claim, isRefusal(error) && claim.once.effected !== true).catch(() => undefined);
    throw error;
  }
  const kept = await keys.keep(request, claim, { status, body });
  mark(`kept/${route}`);
  return send(reply, kept, location);
}

const isRefusal = (error: unknown): boolean => isLockstepError(error) && errorTable[error.code].status < 500;

function send(
  reply: FastifyReply,
  { status, body }: { status: number; body: string },
  location: string | undefined,
): FastifyReply {
  // A request that was answered in the name of the clock is answered already.
  if (reply.sent) return reply;
  if (location !== undefined) reply.header("location", placeOf(location, JSON.parse(body)));
  return reply.code(status).type("application/json; charset=utf-8").send(body);
}

function refusal(claim: { state: "reused" } | { state: "busy"; retryAfterMs: number }): LockstepError {
  if (claim.state === "reused") {
    return new LockstepError("idempotency-key-reused", "the key was used for a request with another route or body", {
      details: { field: "Idempotency-Key" },
    });
  }
  return new LockstepError("idempotency-key-busy", "the request is under way; ask again for its answer", {
    details: { field: "Idempotency-Key", retryAfterSeconds: Math.ceil(claim.retryAfterMs / 1_000) },
  });
}
