import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Abi, encodeErrorResult } from "viem";
import { errorsAbi } from "#app/chains.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { stateOracleAbi } from "#core/abi/stateOracle.ts";
import { revertError } from "#core/chain/refusal.ts";
import { fixed } from "#core/kernel/live.ts";
import type { IntentRequest } from "#core/sender/sender.ts";
import { createDryRun } from "#relay/dryRun.ts";
import { createLanes, type RelayChain } from "#relay/lane.ts";
import { sites } from "./gatewayLogs.ts";
import { addressOf } from "./samples.ts";

const intent = { call: { to: addressOf(1), data: "0x", value: 0n }, gas: 1n } as unknown as IntentRequest;

/** What a dry-run says where the destination's node answers with an error of a contract. */
async function answerTo(abi: Abi, errorName: string, args: readonly unknown[]) {
  const data = encodeErrorResult({ abi, errorName, args });
  const call = async () => {
    throw revertError("beta", { code: 3, message: "execution reverted", data }, errorsAbi);
  };
  const chains = fixed<RelayChain>({ ...sites, beta: { ...sites.beta, chain: { ...sites.beta.chain, call } } });
  const lane = createLanes({ chains }).get({ origin: "alpha", destination: "beta" });
  return createDryRun({ from: addressOf(2) }).deliver(lane, intent);
}

describe("a dry-run that reverts", () => {
  const ofLane = [
    [gatewayAbi, "LaneIsPaused", [1n], "destination-paused"],
    [gatewayAbi, "NoStateOracle", [], "dry-run-reverts"],
    [stateOracleAbi, "UnknownHeader", [1n, 5n], "awaiting-header"],
    [stateOracleAbi, "EpochRevoked", [1n, 5n], "awaiting-header"],
    [stateOracleAbi, "WrongGeneration", [1, 0], "dry-run-reverts"],
    [stateOracleAbi, "TrieProofTraversalError", [1], "dry-run-reverts"],
    [stateOracleAbi, "RLPInvalidEncoding", [], "dry-run-reverts"],
    [stateOracleAbi, "MalformedAccount", ["0x12"], "dry-run-reverts"],
    [stateOracleAbi, "MalformedSlot", ["0x12"], "dry-run-reverts"],
  ] as const;
  for (const [abi, name, args, code] of ofLane) {
    it(`with ${name} holds up the lane and blames no message`, async () => {
      const revert = await answerTo(abi, name, args);
      assert.equal(revert?.lane, code);
      assert.match(revert?.detail ?? "", new RegExp(name));
    });
  }

  it("with what a message may be at fault for is told of no lane", async () => {
    const revert = await answerTo(gatewayAbi, "InsufficientGas", [1n, 2n]);
    assert.deepEqual([revert !== undefined, revert?.lane], [true, undefined]);
  });
});
