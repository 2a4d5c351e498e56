import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createPublicClient, erc20Abi, getAbiItem, http } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { decodeAnyLockLog } from "#swap/protocol/lockLogs.ts";
import { onServer } from "#test/support/databases.ts";
import type { TestNetwork } from "#test/support/network.ts";

const main = fileURLToPath(new URL("../../app/main.ts", import.meta.url));

/** A command of the program on the network's service, whether that runs or not. */
export const runCommand = (test: TestNetwork, ...words: string[]) => runWith(test, {}, ...words);

/** The same with another configuration file, or by another way to the database. */
export function runWith(
  test: TestNetwork,
  other: { readonly config?: string; readonly url?: string },
  ...words: string[]
): Promise<{ code: number; out: string; err: string }> {
  const { config = test.network.layout.service, url: DATABASE_URL = test.env.DATABASE_URL ?? "" } = other;
  const env = { ...process.env, DATABASE_URL, REDIS_URL: "", LOCKSTEP_LOG_LEVEL: "error" };
  const args = [main, ...words, "--config", config];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { env }, (_error, out, err) => {
      resolve({ code: child.exitCode ?? -1, out, err });
    });
  });
}

/** As `runCommand`, of one that has to succeed and prints JSON. */
export async function commanded<T>(test: TestNetwork, ...words: string[]): Promise<T> {
  const { code, out, err } = await runCommand(test, ...words, "--json");
  assert.equal(code, 0, err);
  return JSON.parse(out) as T;
}

/** Everything that the service has is gone but for its configuration and keys; an empty database is there instead. */
export async function loseDatabase(test: TestNetwork): Promise<void> {
  const url = test.env.DATABASE_URL;
  if (!url) return rmSync(join(test.network.layout.dataDir, "db"), { recursive: true });
  const name = new URL(url).pathname.slice(1);
  await onServer(`DROP DATABASE ${name} WITH (FORCE)`);
  await onServer(`CREATE DATABASE ${name}`);
}

type Lock = { chain: string; id: Hex; hashlock: Hex; locked: number; claimed: number; refunded: number };

/** Every lock that either chain ever saw, and how often it was made and ended. */
export async function readLocks({ network }: TestNetwork): Promise<Lock[]> {
  const locks = new Map<Hex, Lock>();
  for (const { name, url, chainId, deployment } of Object.values(network.chains)) {
    const client = createPublicClient({ transport: http(url), cacheTime: 0 });
    for (const log of await client.getLogs({ address: deployment.timelock, fromBlock: 0n })) {
      const found = decodeAnyLockLog(log as never, { chainId, contract: deployment.timelock });
      if (found?.kind === "locked") {
        for (const { id, lock } of found.locks) {
          const none = { chain: name, id, hashlock: lock.terms.hashlock, locked: 0, claimed: 0, refunded: 0 };
          const known = locks.get(id) ?? none;
          locks.set(id, { ...known, locked: known.locked + 1 });
        }
      } else if (found) {
        const known = locks.get(found.id) ?? assert.fail("what was never locked has ended");
        locks.set(found.id, { ...known, [found.kind]: known[found.kind] + 1 });
      }
    }
  }
  return [...locks.values()];
}

/** Every lock was made once and ended once, both legs of a swap alike, and nothing is left in the contracts. */
export async function assertNothingLost(test: TestNetwork): Promise<void> {
  const locks = await readLocks(test);
  for (const lock of locks) {
    assert.deepEqual([lock.locked, lock.claimed + lock.refunded], [1, 1], JSON.stringify(lock));
  }
  for (const [hashlock, legs] of Map.groupBy(locks, (lock) => lock.hashlock)) {
    assert.ok(legs.length <= 2, `${hashlock} was locked ${legs.length} times`);
    assert.ok(
      legs.every(({ claimed }) => claimed === legs[0]?.claimed),
      JSON.stringify(legs),
    );
    if (legs.length === 1) assert.equal(legs[0]?.refunded, 1, JSON.stringify(legs));
  }
  for (const { url, deployment } of Object.values(test.network.chains)) {
    const client = createPublicClient({ transport: http(url), cacheTime: 0 });
    const args = [deployment.timelock] as const;
    const tokens = await client.readContract({
      address: deployment.token,
      abi: erc20Abi,
      functionName: "balanceOf",
      args,
    });
    assert.deepEqual([await client.getBalance({ address: deployment.timelock }), tokens], [0n, 0n]);
  }
}

/** How often each payload was sent from alpha, and how many messages beta executed, each how often. */
export async function readMessages({ network }: TestNetwork) {
  const { alpha, beta } = network.chains;
  if (!alpha || !beta) throw new Error("there are no two chains");
  const clientOf = (url: string) => createPublicClient({ transport: http(url), cacheTime: 0 });
  const sent = await clientOf(alpha.url).getLogs({
    ...{
      address: alpha.deployment.gateway,
      event: getAbiItem({ abi: gatewayAbi, name: "MessageSent" }),
      fromBlock: 0n,
    },
  });
  const executed = await clientOf(beta.url).getLogs({
    ...{
      address: beta.deployment.gateway,
      event: getAbiItem({ abi: gatewayAbi, name: "MessageExecuted" }),
      fromBlock: 0n,
    },
  });
  const payloads: Record<string, number> = {};
  for (const { args } of sent) payloads[args.payload ?? ""] = (payloads[args.payload ?? ""] ?? 0) + 1;
  const times = Map.groupBy(executed, ({ topics }) => topics[1] ?? "");
  return { payloads, sent: sent.length, executed: [...times.values()].map((each) => each.length) };
}
