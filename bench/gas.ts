import { writeFileSync } from "node:fs";
import { measureGas } from "#test/contracts/gas.ts";

/**
 * What the same calls cost with others' contracts, measured in November 2026 on the same kind of chain in the same way:
 * with the transaction's 21,000 and its calldata, balances warm, allowances unlimited. Hyperlane takes one message a
 * transaction, so its figure stands beside every count.
 */
const peers: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  "boltz v6": row(47_609, 32_484, 31_631, 67_031, 42_000, 41_180),
  "komodo etomic swap": row(48_691, 40_771, 38_827, 67_483, 49_768, 47_824),
  "1inch escrow": row(67_613, 45_210, 41_682, 102_822, 46_759, 45_731),
  "garden v3": row(138_660, 64_135, 60_640, 158_779, 74_934, 71_420),
  "chatch HTLC": row(142_279, 86_644, 59_374, 184_795, 95_543, 70_258),
  hyperlane: { send: 84_924, deliver1: 103_460, deliver10: 103_460, deliver50: 103_460, deliver100: 103_460 },
};

const rows = await measureGas();
const figures = Object.fromEntries(rows.map(({ key, gas }) => [key, gas]));
if (process.argv.includes("--save")) {
  // What `test/contracts/gas.test.ts` compares with. Save it with the change that explains the difference.
  writeFileSync(new URL("../test/contracts/gas.json", import.meta.url), `${JSON.stringify(figures, null, 2)}\n`);
}
if (process.argv.includes("--json")) {
  console.log(JSON.stringify(figures));
} else {
  console.table(Object.fromEntries(rows.map(({ key, what, gas }) => [key, { what, gas, ...othersOf(key) }])), [
    "what",
    "gas",
    ...Object.keys(peers),
  ]);
}

function row(...gas: readonly [number, number, number, number, number, number]) {
  const [lockNative, claimNative, refundNative, lockErc20, claimErc20, refundErc20] = gas;
  return { lockNative, claimNative, refundNative, lockErc20, claimErc20, refundErc20 };
}

function othersOf(key: string): Record<string, number> {
  return Object.fromEntries(
    Object.entries(peers).flatMap(([name, figures]) => (figures[key] === undefined ? [] : [[name, figures[key]]])),
  );
}
