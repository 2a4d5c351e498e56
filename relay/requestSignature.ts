import { randomBytes } from "node:crypto";
import { hashTypedData, stringToHex, type TypedDataDefinition } from "viem";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { keccak256 } from "#core/kernel/keccak.ts";
import { recoverSigner } from "#core/kernel/recover.ts";

/** Carries who asks: `issuedAt nonce signature`, where the first is in Unix milliseconds. */
export const requestHeader = "lockstep-request";

/** Milliseconds by which the clocks of a relayer and a validator may differ, the way included. */
const windowMs = 30_000;

const headerPattern = /^(\d{13}) (0x[0-9a-f]{64}) (0x[0-9a-f]{130})$/;

type Asked = { readonly validator: Hex; readonly path: string; readonly body: string };

/** Makes the header of one request to one validator. */
export type SignRequest = (asked: Asked) => Promise<Readonly<Record<string, string>>>;

export function createRequestSigner(deps: {
  sign(data: TypedDataDefinition): Promise<Hex>;
  clock: Pick<Clock, "now">;
}): SignRequest {
  return async (asked) => {
    const issuedAt = Math.floor(deps.clock.now());
    const nonce: Hex = `0x${randomBytes(32).toString("hex")}`;
    const signature = await deps.sign(requestTypedData(asked, issuedAt, nonce));
    return { [requestHeader]: `${issuedAt} ${nonce} ${signature}` };
  };
}

/** Answers the relayer that signed a request. Throws `unauthorized` or `forbidden`. */
export type CheckRequest = (asked: Omit<Asked, "validator">, header: unknown) => Hex;

/**
 * Lets nobody ask but the relayers: each request is signed for this validator, is young, and counts once. What is
 * remembered for that lasts as long as a request is young, and only signatures of relayers are remembered.
 */
export function createRequestCheck(deps: {
  validator: Hex;
  relayers: readonly Hex[];
  clock: Pick<Clock, "now">;
}): CheckRequest {
  const { validator, clock } = deps;
  const relayers = new Set(deps.relayers);
  /** Until when a nonce must not come again, oldest first. */
  const seen = new Map<string, number>();

  return (asked, header) => {
    const [, issued = "", nonce = "", signature = ""] = headerPattern.exec(String(header)) ?? [];
    if (signature === "") throw unauthorized(`the header ${requestHeader} says who asks: issuedAt nonce signature`);
    const issuedAt = Number(issued);
    if (Math.abs(clock.now() - issuedAt) > windowMs) {
      throw unauthorized("the request was signed too long ago, or the clocks differ");
    }
    const data = requestTypedData({ ...asked, validator }, issuedAt, nonce as Hex);
    const relayer = recoverSigner(hashTypedData(data), signature as Hex);
    if (relayer === undefined) throw unauthorized("the signature is none");
    if (!relayers.has(relayer))
      throw new LockstepError("forbidden", "the request is signed by no relayer of this validator");
    forget(seen, clock.now());
    if (seen.has(nonce)) throw unauthorized("the request was made before");
    seen.set(nonce, clock.now() + 2 * windowMs);
    return relayer;
  };
}

/** Entries are in the order in which they end. */
function forget(seen: Map<string, number>, now: number): void {
  for (const [nonce, until] of seen) {
    if (until > now) return;
    seen.delete(nonce);
  }
}

function requestTypedData({ validator, path, body }: Asked, issuedAt: number, nonce: Hex): TypedDataDefinition {
  return {
    domain: { name: "Lockstep validator request", version: "1" },
    types: {
      Request: [
        { name: "validator", type: "address" },
        { name: "method", type: "string" },
        { name: "path", type: "string" },
        { name: "bodyHash", type: "bytes32" },
        { name: "issuedAt", type: "uint64" },
        { name: "nonce", type: "bytes32" },
      ],
    },
    primaryType: "Request",
    message: {
      validator,
      method: "POST",
      path,
      bodyHash: keccak256(stringToHex(body)),
      issuedAt: BigInt(issuedAt),
      nonce,
    },
  } as TypedDataDefinition;
}

const unauthorized = (message: string) => new LockstepError("unauthorized", message);
