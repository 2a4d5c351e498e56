import {
  getTypesForEIP712Domain,
  hashTypedData,
  numberToHex,
  parseTransaction,
  serializeTransaction,
  serializeTypedData,
  type TypedDataDefinition,
} from "viem";
import { z } from "zod";
import type { Clock } from "../kernel/clock.ts";
import { address as addressSchema, type Hex, hex } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";
import { parseJson, toJson } from "../kernel/json.ts";
import { keccak256 } from "../kernel/keccak.ts";
import type { PostJson } from "../kernel/postJson.ts";
import { recoverSigner } from "../kernel/recover.ts";
import type { Redacted } from "../kernel/redacted.ts";
import type { Signer, UnsignedTransaction } from "./keys.ts";

/** Milliseconds that one which did not answer is left alone: whoever waits for it must not wait for it again and again. */
const restMs = 1_000;

const answerSchema = z.union([
  z.object({ result: z.unknown().refine((result) => result !== undefined && result !== null) }),
  z.object({ error: z.object({ code: z.number().optional() }) }),
]);

/** Signed bytes bare (Web3Signer), or together with the transaction they are of (Clef), which is not looked at. */
const signedSchema = z.union([hex, z.object({ raw: hex }).transform(({ raw }) => raw)]);

export type RemoteSigner = Signer & {
  /** Whether the signer says that it has the account; undefined when it does not say so in time. */
  hasAccount(): Promise<boolean | undefined>;
};

/**
 * An account whose key another service has, over the JSON-RPC that Web3Signer and Clef speak. Nothing it answers is
 * believed: the bytes must be those of the transaction that was asked for, to the last field, and the signature must be
 * the account's.
 */
export function createRemoteSigner(deps: {
  address: Hex;
  url: string;
  token?: Redacted<string> | undefined;
  post: PostJson;
  clock: Clock;
}): RemoteSigner {
  const { address, post, clock } = deps;
  const url = new URL(deps.url);
  let silentSince: number | undefined;
  let asked = 0;

  async function exchange(method: string, params: readonly unknown[]): Promise<unknown> {
    if (silentSince !== undefined && clock.now() - silentSince < restMs) throw unreachable();
    try {
      const body = toJson({ jsonrpc: "2.0", id: ++asked, method, params });
      const headers = deps.token && { authorization: `Bearer ${deps.token.reveal()}` };
      const { status, text } = await post(url, body, { headers });
      if (text === undefined || status === 429 || status >= 502) throw unreachable();
      silentSince = undefined;
      return resultOf(status, parseJson(text));
    } catch (error) {
      if (error instanceof LockstepError && error.code !== "signer-unreachable") throw error;
      silentSince = clock.now();
      // Its own words could be anything, the request's headers included.
      throw unreachable();
    }
  }

  function resultOf(status: number, answer: unknown): unknown {
    const { data } = answerSchema.safeParse(answer);
    if (data !== undefined && "result" in data) return data.result;
    const code = data?.error.code;
    throw new LockstepError("signer-refused", "the remote signer does not sign", {
      details: { account: address, status, ...(code !== undefined && { reason: code }) },
    });
  }

  const unreachable = () =>
    new LockstepError("signer-unreachable", "the remote signer does not answer", { details: { account: address } });
  const wrong = (what: string) =>
    new LockstepError("signer-wrong", `the remote signer answered with ${what}`, { details: { account: address } });

  return {
    address,
    async signTransaction(transaction) {
      const result = await exchange("eth_signTransaction", [{ from: address, ...wireOf(transaction) }]);
      const { data: raw } = signedSchema.safeParse(result);
      const signature = raw && signatureIn(raw);
      if (raw === undefined || signature === undefined) throw wrong("something that is no signed transaction");
      const whole = { ...transaction, type: "eip1559" } as const;
      if (serializeTransaction(whole, signature) !== raw) throw wrong("another transaction than it was asked to sign");
      if (recoverSigner(keccak256(serializeTransaction(whole)), packed(signature)) !== address) {
        throw wrong("a signature that is not the account's");
      }
      return { raw, hash: keccak256(raw) };
    },
    async signTypedData(data) {
      const result = await exchange("eth_signTypedData", [address, typedText(data)]);
      const { data: text } = hex.safeParse(result);
      const signature = text && withUsualParity(text);
      if (!signature || recoverSigner(hashTypedData(data), signature) !== address) {
        throw wrong("a signature that is not the account's over what it was asked to sign");
      }
      return signature;
    },
    async hasAccount() {
      try {
        const { data } = z.array(addressSchema).safeParse(await exchange("eth_accounts", []));
        return data?.includes(address);
      } catch {
        return undefined;
      }
    },
  };
}

/** Fields as JSON-RPC spells them. */
function wireOf(transaction: UnsignedTransaction): Record<string, string> {
  const { to, data = "0x", value = 0n, gas, nonce = 0, chainId, maxFeePerGas, maxPriorityFeePerGas } = transaction;
  return {
    ...(to && { to }),
    ...{ data, value: numberToHex(value), gas: numberToHex(gas ?? 0n), nonce: numberToHex(nonce) },
    ...{ chainId: numberToHex(chainId), type: "0x2" },
    maxFeePerGas: numberToHex(maxFeePerGas ?? 0n),
    maxPriorityFeePerGas: numberToHex(maxPriorityFeePerGas ?? 0n),
  };
}

/** As `eth_signTypedData` takes it: with the domain's own types, without which it would be left out. */
function typedText({ domain = {}, types, ...rest }: TypedDataDefinition): string {
  const EIP712Domain = getTypesForEIP712Domain({ domain });
  return serializeTypedData({ ...rest, domain, types: { EIP712Domain, ...types } } as TypedDataDefinition);
}

type Signature = { readonly r: Hex; readonly s: Hex; readonly yParity: 0 | 1 };

function signatureIn(raw: Hex): Signature | undefined {
  try {
    const { r, s, yParity } = parseTransaction(raw);
    return r !== undefined && s !== undefined && (yParity === 0 || yParity === 1) ? { r, s, yParity } : undefined;
  } catch {
    return undefined;
  }
}

const packed = ({ r, s, yParity }: Signature): Hex =>
  `0x${r.slice(2).padStart(64, "0")}${s.slice(2).padStart(64, "0")}${yParity === 0 ? "1b" : "1c"}`;

/** Some signers end a signature with 0 or 1, where contracts take 27 or 28. */
const withUsualParity = (signature: Hex): Hex =>
  signature.replace(/0([01])$/, (_, parity: string) => (parity === "0" ? "1b" : "1c")) as Hex;
