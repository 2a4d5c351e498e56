import { type Abi, decodeErrorResult } from "viem";
import type { Hex } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";
import { toJson } from "../kernel/json.ts";
import type { WireError } from "./wire.ts";

const longestText = 200;

/** What a node means by not taking a transaction. Nodes have words for it, not codes. */
const refusals = [
  ["known", /already known|alreadyknown|known transaction|already imported|already in the (mem)?pool/i],
  ["nonce-too-low", /nonce (is )?too low|old nonce/i],
  ["nonce-too-high", /nonce (is )?too high|nonce gap/i],
  ["underpriced", /underpriced|fee too low|less than (the )?block base fee|lower than .*base ?fee|feetoolow/i],
  ["insufficient-funds", /insufficient (funds|balance)|enough funds/i],
] as const;

export type Refusal = (typeof refusals)[number][0] | "reverted" | "other";

/** Sorts the refusal of a transaction. `reverted`: a development node mined it and reports how it ended. */
export function classifyRefusal(error: WireError): Refusal {
  const known = refusals.find(([, pattern]) => pattern.test(error.message));
  return known?.[0] ?? (isRevert(error) ? "reverted" : "other");
}

/** True when the node ran the call and the call reverted. */
export function isRevert(error: WireError): boolean {
  return error.code === 3 || /revert/i.test(error.message);
}

/** `call-reverted` with the custom error by name, so that nobody has to match texts. */
export function revertError(chain: string, error: WireError, errorsAbi: Abi): LockstepError {
  const data = revertData(error.data);
  if (data === undefined || data.length < 10) {
    return new LockstepError("call-reverted", "the call reverts without a reason", { details: { chain } });
  }
  const named = decodeNamed(data, errorsAbi);
  if (named === undefined) {
    const selector = data.slice(0, 10);
    return new LockstepError("call-reverted", `the call reverts with the unknown error ${selector}`, {
      details: { chain, selector },
    });
  }
  const { words, ...details } = named;
  return new LockstepError("call-reverted", `the call reverts with ${words}`, { details: { chain, ...details } });
}

/** A node's text fit for logs: short, and without anything long in hex, which could be calldata. */
export function printable(text: string): string {
  return text.replace(/(0x)?[0-9a-fA-F]{10,}/g, "0x…").slice(0, longestText);
}

type Named = { readonly error: string; readonly args: readonly string[]; readonly words: string };

/** An error by name; one that passes another one on says which. */
function decodeNamed(data: Hex, abi: Abi): Named | undefined {
  try {
    const { errorName, args = [] } = decodeErrorResult({ abi, data });
    const shown = args.map((arg) => (typeof arg === "object" ? toJson(arg) : String(arg)));
    const words = shown.map((arg) => decodeInner(arg, abi)?.words ?? arg.slice(0, longestText));
    return {
      error: errorName,
      args: shown.map((arg) => arg.slice(0, longestText)),
      words: `${errorName}(${words.join(", ")})`,
    };
  } catch {
    return undefined;
  }
}

/** Only bytes that are a selector and whole words can be an error. */
const decodeInner = (arg: string, abi: Abi): Named | undefined =>
  /^0x[0-9a-f]{8}([0-9a-f]{64})*$/.test(arg) ? decodeNamed(arg as Hex, abi) : undefined;

/** Nodes put the returned bytes in `data`, or one level deeper. */
function revertData(data: unknown): Hex | undefined {
  if (typeof data === "string") return /^0x([0-9a-fA-F]{2})*$/.test(data) ? (data as Hex) : undefined;
  return typeof data === "object" && data !== null && "data" in data ? revertData(data.data) : undefined;
}
