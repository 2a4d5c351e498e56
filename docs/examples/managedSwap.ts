// Swaps one coin of alpha for 2,500 tokens of beta between two accounts of the service, and follows it to its end.
// node docs/examples/managedSwap.ts, beside a network that `npm start` runs.
import { readFileSync } from "node:fs";
import { createClient } from "lockstep/client";

const [url = "http://127.0.0.1:7600", dataDir = ".lockstep"] = process.argv.slice(2);
const { chains } = JSON.parse(readFileSync(`${dataDir}/network.json`, "utf8"));
const client = createClient({ url, token: readFileSync(`${dataDir}/token`, "utf8").trim() });

const { id } = await client.swaps.request({
  source: { chain: "alpha", asset: { type: "native" }, amount: 10n ** 18n },
  target: { chain: "beta", asset: { type: "erc20", address: chains.beta.token }, amount: 2_500_000_000n },
  initiator: { account: "alice" },
  counterparty: { account: "bob" },
});
const endings = ["completed", "refunded", "failed", "initiatorLost", "counterpartyLost"];
const swap = await client.swaps.until(id, ({ status }) => endings.includes(status));
console.log(`${swap.id} ${swap.status}`);
for (const { at, what, leg } of swap.timeline) console.log(`  ${at} ${what}${leg === undefined ? "" : ` (${leg})`}`);
