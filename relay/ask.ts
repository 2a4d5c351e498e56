import { z } from "zod";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import { type AttestRequest, attestationSchema, type WireAttestation } from "./schemas.ts";
import type { ValidatorInfo } from "./validators.ts";

/** Asks a validator for its signature; throws when it does not answer with one in time. */
export type AskValidator = (validator: ValidatorInfo, request: AttestRequest) => Promise<WireAttestation>;

const longestAnswer = 4_096;

export function createAskValidator(deps: { timeoutMs: number; log: Log }): AskValidator {
  return async ({ name, url }, request) => {
    const body = JSON.stringify({ ...request, epoch: request.epoch.toString(), nonce: request.nonce.toString() });
    const response = await fetch(new URL("/attest", url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      redirect: "error",
      signal: AbortSignal.timeout(deps.timeoutMs),
    });
    const text = await response.text();
    if (!response.ok || text.length > longestAnswer) {
      deps.log.debug({ validator: name, status: response.status }, "validator gave no signature");
      throw new LockstepError("attestation-refused", `${name} answered with status ${response.status}`);
    }
    return z.decode(attestationSchema, JSON.parse(text));
  };
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
