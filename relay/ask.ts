import { z } from "zod";
import { readAtMost } from "#core/http/readAtMost.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import {
  type AttestRequest,
  attestationSchema,
  attestRequestSchema,
  type HeaderRequest,
  headerAttestationSchema,
  headerRequestSchema,
  type WireAttestation,
  type WireHeaderAttestation,
} from "./schemas.ts";
import type { ValidatorInfo } from "./validators.ts";

/**
 * Asks a validator for its signature; throws when it does not answer with one in time, `attestation-refused` when it
 * answers with something else.
 */
export type AskValidator = (validator: ValidatorInfo, request: AttestRequest) => Promise<WireAttestation>;

const longestAnswer = 4_096;

/** The same for its signature over a block's header. */
export type AskHeader = (validator: ValidatorInfo, request: HeaderRequest) => Promise<WireHeaderAttestation>;

type Asking = { readonly timeoutMs: number };

export function createAskValidator(asking: Asking): AskValidator {
  return (validator, request) =>
    signedAnswer(validator, "/attest", z.encode(attestRequestSchema, request), attestationSchema, asking);
}

export function createAskHeader(asking: Asking): AskHeader {
  return (validator, request) =>
    signedAnswer(validator, "/attest-header", z.encode(headerRequestSchema, request), headerAttestationSchema, asking);
}

async function signedAnswer<S extends z.ZodType>(
  { name, url }: ValidatorInfo,
  path: string,
  body: unknown,
  schema: S,
  { timeoutMs }: Asking,
): Promise<z.output<S>> {
  if (url === undefined) throw new LockstepError("attestation-refused", `there is no address to ask ${name} at`);
  const response = await fetch(new URL(path, url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    redirect: "error",
    signal: AbortSignal.timeout(timeoutMs),
  });
  const text = await readAtMost(response, longestAnswer);
  if (!response.ok) {
    throw new LockstepError("attestation-refused", `${name} answered with status ${response.status}`);
  }
  return parse(name, text, schema);
}

function parse<S extends z.ZodType>(name: string, text: string | undefined, schema: S): z.output<S> {
  try {
    if (text !== undefined) return z.decode(schema, JSON.parse(text));
  } catch {
    // Told below: what it said is not worth repeating.
  }
  throw new LockstepError("attestation-refused", `${name} answered with something that is no attestation`, {
    details: { misbehaviour: "answer-invalid" },
  });
}

/** True when the validator says of itself that it works. Never throws. */
export async function isReachable({ url }: ValidatorInfo, timeoutMs: number): Promise<boolean> {
  if (url === undefined) return false;
  try {
    const response = await fetch(new URL("/health/ready", url), { signal: AbortSignal.timeout(timeoutMs) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
