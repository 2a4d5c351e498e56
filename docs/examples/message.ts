// Sends a message from alpha to beta and waits for its delivery.
// node docs/examples/message.ts, beside a network that `npm start` runs.
import { readFileSync } from "node:fs";
import { createClient } from "lockstep/client";

const [url = "http://127.0.0.1:7600", dataDir = ".lockstep"] = process.argv.slice(2);
const { chains } = JSON.parse(readFileSync(`${dataDir}/network.json`, "utf8"));
const client = createClient({ url, token: readFileSync(`${dataDir}/token`, "utf8").trim() });

const { id } = await client.messages.send({
  origin: "alpha",
  destination: "beta",
  recipient: chains.beta.recorder,
  payload: "0x68656c6c6f",
});
const message = await client.messages.until(id, ({ status }) => status === "delivered" || status === "failed");
console.log(`${message.id} ${message.status}`);
for (const { at, what } of message.timeline) console.log(`  ${at} ${what}`);
