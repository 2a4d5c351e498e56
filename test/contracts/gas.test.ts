import assert from "node:assert/strict";
import { it } from "node:test";
import { measureGas } from "./gas.ts";

/** What each call costs today, rounded up to hundreds. Lower a number when it falls; raise one only with a reason. */
const ceilings: Readonly<Record<string, number>> = {
  send: 52_800,
  deliver1: 79_900,
  deliver10: 16_300,
  deliver50: 10_700,
  sendWithGasLimit: 56_800,
  lockNative: 49_200,
  claimNative: 33_000,
  refundNative: 32_200,
  lockErc20: 69_800,
  claimErc20: 41_800,
  refundErc20: 41_000,
  lockErc20Finite: 73_000,
  batchLock16: 6_800,
  batchClaim20Same: 9_200,
  batchClaim20Distinct: 16_400,
  permitLock: 85_100,
  lockErc721: 76_900,
  claimErc721: 50_500,
  refundErc721: 49_100,
  lockErc1155: 92_200,
  claimErc1155: 40_100,
  refundErc1155: 38_700,
};

it("no call costs more gas than it did", async () => {
  const rows = await measureGas();
  assert.deepEqual(
    rows.map(({ key }) => key),
    Object.keys(ceilings),
  );
  for (const { key, what, gas } of rows) assert.ok(gas <= (ceilings[key] ?? 0), `${what}: ${gas} > ${ceilings[key]}`);
});
