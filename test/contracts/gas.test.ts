import assert from "node:assert/strict";
import { it } from "node:test";
import { measureGas } from "./gas.ts";

/** What each call costs today, rounded up to hundreds. Lower a number when it falls; raise one only with a reason. */
const ceilings: Readonly<Record<string, number>> = {
  "send 32 bytes": 51_400,
  "deliver 1, 2 of 3 validators": 76_900,
  "deliver 10, each": 15_000,
  "deliver 50, each": 9_200,
  "deliver 100, each": 8_500,
  "send 32 bytes with a gas limit": 56_000,
  "lock native": 50_500,
  "claim native": 33_900,
  "refund native": 32_700,
  "lock ERC-20": 74_300,
  "claim ERC-20": 42_600,
  "refund ERC-20": 41_400,
};

it("no call costs more gas than it did", async () => {
  const rows = await measureGas();
  assert.deepEqual(
    rows.map(({ what }) => what),
    Object.keys(ceilings),
  );
  for (const { what, gas } of rows) assert.ok(gas <= (ceilings[what] ?? 0), `${what}: ${gas} > ${ceilings[what]}`);
});
