import { measureGas } from "#test/contracts/gas.ts";

const rows = await measureGas();
if (process.argv.includes("--json")) console.log(JSON.stringify(rows));
else console.table(rows);
