// Swaps a thousandth coin of alpha for as much of beta with an initiator whose key the service never sees: its lock is
// sent, what pays it is checked on its chain, and only then its secret is shown.
// node docs/examples/externalSwap.ts, beside a network that `npm start` runs.
import { readFileSync } from "node:fs";
import { createClient, createParty, createSecret, fromViem } from "lockstep/client";
import { createPublicClient, createWalletClient, type Hex, http } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";

const [url = "http://127.0.0.1:7600", dataDir = ".lockstep"] = process.argv.slice(2);
const { chains } = JSON.parse(readFileSync(`${dataDir}/network.json`, "utf8")) as {
  chains: Record<"alpha" | "beta", { url: string; timelock: Hex }>;
};
const client = createClient({ url, token: readFileSync(`${dataDir}/token`, "utf8").trim() });

const account = privateKeyToAccount(generatePrivateKey());
const wallet = (chain: "alpha" | "beta") => createWalletClient({ account, transport: http(chains[chain].url) });
const reader = (chain: "alpha" | "beta") =>
  createPublicClient({ transport: http(chains[chain].url), pollingInterval: 50, cacheTime: 0 });
const readers = { alpha: reader("alpha"), beta: reader("beta") };
for (const chain of ["alpha", "beta"] as const) {
  // A local chain gives coin to whoever asks.
  await readers[chain].request({
    method: "hardhat_setBalance" as never,
    params: [account.address, "0xde0b6b3a7640000"] as never,
  });
}

const secret = createSecret(); // Keep `secret.reveal()` somewhere safe: without it nothing can be claimed.
const party = createParty({
  client,
  secret,
  signer: fromViem({ alpha: wallet("alpha"), beta: wallet("beta") }, readers),
  readers,
  timelocks: { beta: chains.beta.timelock },
});

const amount = 10n ** 15n;
const wanted = { asset: { type: "native" }, amount } as const;
let swap = await client.swaps.request({
  source: { chain: "alpha", asset: { type: "native" }, amount },
  target: { chain: "beta", ...wanted },
  initiator: { source: account.address, target: account.address },
  hashlock: secret.hashlock,
  counterparty: { account: "bob" },
});
const endings = ["completed", "refunded", "failed", "initiatorLost", "counterpartyLost"];
for (let done = ""; !endings.includes(swap.status); ) {
  swap = await client.swaps.until(swap.id, ({ status, next }) => {
    return endings.includes(status) || (next !== undefined && next.action !== done);
  });
  if ((await party.step(swap, wanted)) === "nothing") continue;
  done = swap.next?.action ?? "";
  console.log(`${done}: done`);
}
console.log(`${swap.id} ${swap.status}`);
