import assert from "node:assert/strict";
import { it } from "node:test";
import saved from "./gas.json" with { type: "json" };
import { measureGas } from "./gas.ts";

it("no call costs over 1 % more gas than was saved (npm run bench -- gas --save)", async () => {
  const rows = await measureGas();
  assert.deepEqual(
    rows.map(({ key }) => key),
    Object.keys(saved),
  );
  const before: Readonly<Record<string, number>> = saved;
  for (const { key, what, gas } of rows) {
    assert.ok(gas <= (before[key] ?? 0) * 1.01, `${what}: ${gas}, saved ${before[key]}`);
  }
});
