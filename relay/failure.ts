import { type Abi, decodeErrorResult, parseAbi } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { toJson } from "#core/kernel/json.ts";

const errors: Abi = [...gatewayAbi, ...parseAbi(["error Error(string)", "error Panic(uint256)"])];
const longest = 300;

/** What a recipient answered when its execution failed, in words. Reasons are cut off after 256 bytes on chain. */
export function describeReason(reason: Hex): string {
  if (reason === "0x") return "the recipient reverted without a reason, or ran out of gas";
  try {
    const { errorName, args } = decodeErrorResult({ abi: errors, data: reason });
    const shown = (args ?? []).map((arg) =>
      typeof arg === "string" || typeof arg === "bigint" ? arg.toString() : toJson(arg),
    );
    return errorName === "Error"
      ? `the recipient reverted: ${shown[0] ?? ""}`.slice(0, longest)
      : `${errorName}(${shown.join(", ")})`.slice(0, longest);
  } catch {
    return `the recipient reverted with the error ${reason.slice(0, 10)}`;
  }
}
