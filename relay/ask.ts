import { z } from "zod";
import { LockstepError } from "#core/kernel/errors.ts";
import { type ClientCertificates, createPostJson, type PostJson } from "#core/kernel/postJson.ts";
import type { Redacted } from "#core/kernel/redacted.ts";
import type { Tracer } from "#core/observe/tracing.ts";
import type { SignRequest } from "./requestSignature.ts";
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

/** The way to validators: `sign` tells them who asks, where they want to know. */
export type Asking = {
  readonly post: PostJson;
  readonly sign?: SignRequest | undefined;
  readonly around: Tracer["around"];
};

export const createAsking = (deps: {
  timeoutMs: number;
  tls?: Redacted<ClientCertificates> | undefined;
  sign?: SignRequest | undefined;
  around: Tracer["around"];
}): Asking => ({
  post: createPostJson({ ...deps, most: longestAnswer }),
  sign: deps.sign,
  around: deps.around,
});

export function createAskValidator(asking: Asking): AskValidator {
  return (validator, request) =>
    asking.around("validator.attest", { "lockstep.validator": validator.name }, () =>
      signedAnswer(validator, "/attest", z.encode(attestRequestSchema, request), attestationSchema, asking),
    );
}

export function createAskHeader(asking: Asking): AskHeader {
  return (validator, request) =>
    asking.around("validator.attest_header", { "lockstep.validator": validator.name }, () =>
      signedAnswer(
        validator,
        "/attest-header",
        z.encode(headerRequestSchema, request),
        headerAttestationSchema,
        asking,
      ),
    );
}

async function signedAnswer<S extends z.ZodType>(
  { name, address, url }: ValidatorInfo,
  path: string,
  content: unknown,
  schema: S,
  { post, sign }: Asking,
): Promise<z.output<S>> {
  if (url === undefined) throw new LockstepError("attestation-refused", `there is no address to ask ${name} at`);
  const body = JSON.stringify(content);
  const headers = await sign?.({ validator: address, path, body });
  const { status, text } = await post(new URL(path, url), body, { headers });
  if (status !== 200) throw new LockstepError("attestation-refused", `${name} answered with status ${status}`);
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
export async function isReachable({ url }: ValidatorInfo, timeoutMs: number, { post }: Asking): Promise<boolean> {
  if (url === undefined) return false;
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    return (await post(new URL("/health/ready", url), "", { method: "GET", signal })).status === 200;
  } catch {
    return false;
  }
}
