import { hexToBytes, parseTransaction, toHex } from "viem";
import type { Fees } from "../chain/chain.ts";
import type { KeyStore } from "../chain/keys.ts";
import type { Hex } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";
import type { Sealer } from "../kernel/seal.ts";
import { transferGas } from "./fees.ts";
import type { Attempt } from "./flight.ts";
import type { Call, CallBuilder, IntentRequest } from "./sender.ts";
import { attemptContext } from "./tables.ts";

export type SignedAttempt = { readonly attempt: Attempt; readonly raw: Hex };

/** Makes the transactions of one account on one chain. Bytes leave it sealed, or straight to the chain. */
export type AttemptSigner = {
  /** The intent's call; asks its builder where it has one. */
  call(intent: IntentRequest, nonce: number, fees: Fees): Promise<SignedAttempt>;
  /** The same call as an earlier attempt, at other fees. */
  again(earlier: Attempt, fees: Fees): Promise<SignedAttempt>;
  /** A transfer of nothing to oneself, which only uses the nonce up. */
  nothing(nonce: number, fees: Fees): Promise<SignedAttempt>;
  /** The bytes of a stored attempt. */
  open(attempt: Attempt): Hex;
  /** Wei that a stored attempt hands over. */
  value(attempt: Attempt): bigint;
};

export function createAttemptSigner(deps: {
  chainId: number;
  account: string;
  keyStore: KeyStore;
  sealer: Sealer;
  builders: Readonly<Record<string, CallBuilder>>;
  /** Throws while nothing may be signed. */
  admit?(): void;
}): AttemptSigner {
  const { chainId, account, keyStore, sealer, builders } = deps;

  async function sign(kind: Attempt["kind"], call: Call, gas: bigint, nonce: number, fees: Fees) {
    deps.admit?.();
    const { to, data, value } = call;
    const { raw, hash } = await keyStore.signTransaction(account, { chainId, nonce, gas, to, data, value, ...fees });
    return { attempt: { hash, kind, fees, sealed: sealer.seal(hexToBytes(raw), attemptContext(hash)) }, raw };
  }

  const open = (attempt: Attempt): Hex => toHex(sealer.open(attempt.sealed, attemptContext(attempt.hash)));

  return {
    open,
    value: (attempt) => parseTransaction(open(attempt)).value ?? 0n,
    async call(intent, nonce, fees) {
      return sign("call", await callOf(intent, builders), intent.gas, nonce, fees);
    },
    async again(earlier, fees) {
      const { to, data = "0x", value = 0n, gas, nonce } = parseTransaction(open(earlier));
      if (!to || gas === undefined) throw new LockstepError("internal", "a stored attempt is no call");
      return sign(earlier.kind, { to, data, value }, gas, nonce ?? 0, fees);
    },
    nothing: (nonce, fees) =>
      sign("void", { to: keyStore.address(account), data: "0x", value: 0n }, transferGas, nonce, fees),
  };
}

/** What an intent calls; asks its builder where it has one. */
export async function callOf({ call }: IntentRequest, builders: Readonly<Record<string, CallBuilder>>): Promise<Call> {
  if (!("builder" in call)) return call;
  const build = builders[call.builder];
  if (build === undefined) {
    throw new LockstepError("internal", `nobody builds calls of the kind ${call.builder}`, {
      details: { builder: call.builder },
    });
  }
  return build(call.ref);
}
