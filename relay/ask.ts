import { z } from "zod";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import {
  type AttestRequest,
  attestationSchema,
  type HeaderRequest,
  headerAttestationSchema,
  headerRequestSchema,
  type WireAttestation,
  type WireHeaderAttestation,
} from "./schemas.ts";
import type { ValidatorInfo } from "./validators.ts";

/** Asks a validator for its signature; throws when it does not answer with one in time. */
export type AskValidator = (validator: ValidatorInfo, request: AttestRequest) => Promise<WireAttestation>;

const longestAnswer = 4_096;

/** Asks a validator for its signature over a block's header; throws when it does not answer with one in time. */
export type AskHeader = (validator: ValidatorInfo, request: HeaderRequest) => Promise<WireHeaderAttestation>;

export function createAskValidator(deps: { timeoutMs: number; log: Log }): AskValidator {
  return async (validator, request) => {
    const body = { ...request, epoch: request.epoch.toString(), nonce: request.nonce.toString() };
    return z.decode(attestationSchema, await signedAnswer(validator, "/attest", body, deps));
  };
}

export function createAskHeader(deps: { timeoutMs: number; log: Log }): AskHeader {
  return async (validator, request) => {
    const body = z.encode(headerRequestSchema, request);
    return z.decode(headerAttestationSchema, await signedAnswer(validator, "/attest-header", body, deps));
  };
}

async function signedAnswer<T>(
  { name, url }: ValidatorInfo,
  path: string,
  body: unknown,
  { timeoutMs, log }: { timeoutMs: number; log: Log },
): Promise<T> {
  const response = await fetch(new URL(path, url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    redirect: "error",
    signal: AbortSignal.timeout(timeoutMs),
  });
  const text = await response.text();
  if (!response.ok || text.length > longestAnswer) {
    log.debug({ validator: name, status: response.status }, "validator gave no signature");
    throw new LockstepError("attestation-refused", `${name} answered with status ${response.status}`);
  }
  return JSON.parse(text);
}

/** True when the validator says of itself that it works. Never throws. */
export async function isReachable({ url }: ValidatorInfo, timeoutMs: number): Promise<boolean> {
  try {
    const response = await fetch(new URL("/health/ready", url), { signal: AbortSignal.timeout(timeoutMs) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
