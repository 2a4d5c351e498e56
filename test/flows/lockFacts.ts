import assert from "node:assert/strict";
import { createPublicClient, http } from "viem";
import type { Network } from "#app/network/network.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { decodeAnyLockLog } from "#swap/protocol/lockLogs.ts";
import type { SwapAnswer } from "./requests.ts";

type Count = { locked: number; claimed: number; refunded: number };

/** How often each lock of any kind was locked and ended, read from the chains past the service under test. */
async function countLocks(network: Network): Promise<ReadonlyMap<string, Count>> {
  const counts = new Map<string, Count>();
  for (const { url, chainId, deployment } of Object.values(network.chains)) {
    const client = createPublicClient({ transport: http(url), cacheTime: 0 });
    const logs = await client.getLogs({ address: deployment.timelock, fromBlock: 0n });
    for (const log of logs) {
      const found = decodeAnyLockLog(log as never, { chainId, contract: deployment.timelock });
      if (!found) continue;
      for (const { id } of found.kind === "locked" ? found.locks : [found]) {
        const count = counts.get(id) ?? { locked: 0, claimed: 0, refunded: 0 };
        count[found.kind] += 1;
        counts.set(id, count);
      }
    }
  }
  return counts;
}

const endOf = { claimed: { claimed: 1, refunded: 0 }, refunded: { claimed: 0, refunded: 1 } };

/** Sees to it that every leg of each swap was locked once and ended once, as its status says. */
export async function assertOnce(network: Network, swaps: readonly SwapAnswer[]): Promise<void> {
  const counts = await countLocks(network);
  for (const { id, status, source, target } of swaps) {
    const of = ({ lockId }: { lockId: Hex }) => counts.get(lockId);
    const [s, t] = [of(source), of(target)];
    const about = `${status} ${id}: ${JSON.stringify([s, t])}`;
    if (status === "completed") {
      assert.deepEqual(
        [s, t],
        [1, 1].map((locked) => ({ locked, ...endOf.claimed })),
        about,
      );
    } else {
      assert.ok(status === "refunded" || status === "failed", about);
      for (const leg of [s, t]) if (leg) assert.deepEqual(leg, { locked: 1, ...endOf.refunded }, about);
    }
  }
}
