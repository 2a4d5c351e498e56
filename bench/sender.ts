import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureKey } from "#app/network/keys.ts";
import { createLayout } from "#app/network/layout.ts";
import { startLocalChain } from "#app/network/localChain.ts";
import { measureSending, type SendingFigures } from "./sender/measure.ts";

/** Intents of one measurement. */
const intents = 500;

/**
 * `npm run bench -- sender`: intents from `submit` to their final receipts, over one key and over four, on a Hardhat
 * chain of its own process that mines at once. CPU time is that of this process: the sender with its database client.
 */
const folder = mkdtempSync(join(tmpdir(), "lockstep-bench-"));
const layout = createLayout(folder);
const chain = await startLocalChain({
  ...{ name: "alpha", port: 18_601, layout },
  deployer: ensureKey(layout.keys, "deployer"),
});
try {
  const figures: SendingFigures[] = [];
  for (const keys of [1, 4])
    figures.push(await measureSending({ url: chain.url, chainId: chain.chainId, intents, keys }));
  if (process.argv.includes("--json")) console.log(JSON.stringify({ intents, figures }));
  else console.table(figures);
} finally {
  await chain.child.stop();
  rmSync(folder, { recursive: true, force: true });
}
