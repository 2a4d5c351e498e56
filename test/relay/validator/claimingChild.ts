import { fileURLToPath } from "node:url";
import { createSigningStore } from "#relay/validator/signingStore.ts";
import { hashOf } from "../samples.ts";

/** Claims one place after the other until it is killed, and says so only once each claim has been answered. */
async function claimForEver(file: string): Promise<void> {
  const store = createSigningStore(file);
  const lane = { origin: "1-0xaa", destination: "2-0xbb" };
  for (let nonce = 1; ; nonce++) {
    store.claim(lane, 0, { nonce: BigInt(nonce), accumulator: hashOf(nonce) });
    await new Promise((resolve) => process.stdout.write(`${nonce}\n`, resolve));
  }
}

// The test runner imports every file of this folder; only the test that starts a process wants it to run.
if (process.argv[1] === fileURLToPath(import.meta.url)) await claimForEver(process.argv[2] ?? "");
