import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { FastifyRequest } from "fastify";
import type { Clock } from "../../kernel/clock.ts";
import type { Caller } from "../access.ts";
import type { Authenticator } from "../guard.ts";
import type { ApiKeys } from "./apiKeys.ts";
import { callerOf, requireInForce, unauthorized } from "./bearer.ts";
import type { BodyDigests } from "./bodyDigests.ts";
import type { SeenNonces } from "./nonces.ts";

/** The headers of a signed request and what each looks like; Node joins repeated ones with a comma, which fits none. */
const headers = {
  key: ["lockstep-key", /^[0-9a-f]{16}$/],
  timestamp: ["lockstep-timestamp", /^[1-9][0-9]{0,11}$/],
  nonce: ["lockstep-nonce", /^[A-Za-z0-9_-]{16,64}$/],
  bodyHash: ["lockstep-body-sha256", /^[0-9a-f]{64}$/],
  signature: ["lockstep-signature", /^[0-9a-f]{64}$/],
} as const;

/** Longer than a nonce is of use by this clock: that of another process may be behind. */
const clockSlackSeconds = 30;

type Signed = Readonly<Record<keyof typeof headers, string>>;

/** What is signed of a request: everything that says what it does, one part a line. */
type SignedParts = {
  readonly method: string;
  /** Path with query, to the letter as it is sent. */
  readonly target: string;
  /** Unix seconds. */
  readonly timestamp: string;
  readonly nonce: string;
  /** SHA-256 of the body as it is sent, in hex; of no bytes where there is none. */
  readonly bodyHash: string;
};

/** HMAC-SHA-256 in hex; the key is the secret's text. No part can hold a line break, so no two requests sign alike. */
export function signRequest(secret: Uint8Array | string, parts: SignedParts): string {
  const { method, target, timestamp, nonce, bodyHash } = parts;
  const text = ["lockstep-v1", method, target, timestamp, nonce, bodyHash].join("\n");
  return createHmac("sha256", secret).update(text).digest("hex");
}

type Deps = {
  keys: Pick<ApiKeys, "find" | "used">;
  nonces: SeenNonces;
  bodies: Pick<BodyDigests, "expect">;
  clock: Clock;
  /** Seconds by which the time of a request may be off. */
  windowSeconds: number;
};

/**
 * Requests signed with a shared secret that is never sent. The signature is checked before the body is read, the body
 * against the signed hash while it is read. A nonce is remembered only once its signature was right, for as long as its
 * time would be taken.
 */
export function hmacAuthenticator({ keys, nonces, bodies, clock, windowSeconds }: Deps): Authenticator {
  return (request) => {
    if (!carriesSignature(request.headers)) return undefined;
    if (request.headers.authorization !== undefined) {
      throw unauthorized("send a signature or an Authorization header, not both");
    }
    return authenticate(request, readHeaders(request.headers));
  };

  async function authenticate(request: FastifyRequest, signed: Signed): Promise<Caller> {
    const key = await keys.find("hmac", signed.key);
    const parts = { ...signed, method: request.method, target: request.raw.url ?? "" };
    const right = key && Buffer.from(signRequest(key.proof.reveal(), parts), "hex");
    if (!right || !timingSafeEqual(right, Buffer.from(signed.signature, "hex"))) {
      throw unauthorized("the request's signature is not by a key of this service");
    }
    requireInForce(key, clock);
    const sentAt = Number(signed.timestamp);
    const offSeconds = Math.abs(clock.now() / 1_000 - sentAt);
    if (offSeconds > windowSeconds) {
      throw unauthorized(`lockstep-timestamp is off by more than ${windowSeconds} seconds; is the clock right?`);
    }
    const until = (sentAt + windowSeconds + clockSlackSeconds) * 1_000;
    if (!(await nonces.claim(key.id, signed.nonce, until))) throw unauthorized("the request was sent before");
    bodies.expect(request, signed.bodyHash);
    keys.used(key);
    return callerOf(key);
  }
}

const carriesSignature = (given: IncomingHttpHeaders): boolean =>
  given[headers.signature[0]] !== undefined || given[headers.key[0]] !== undefined;

function readHeaders(given: IncomingHttpHeaders): Signed {
  const read = Object.entries(headers).map(([part, [name, pattern]]) => {
    const value = given[name];
    if (typeof value === "string" && pattern.test(value)) return [part, value] as const;
    throw unauthorized(`${name} is missing, there more than once, or malformed`);
  });
  return Object.fromEntries(read) as Signed;
}
