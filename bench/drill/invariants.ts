import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { createPublicClient, getAbiItem, http, toEventSelector } from "viem";
import { checkBalances } from "#app/demo/balances.ts";
import type { Holdings } from "#app/demo/ledger.ts";
import { scenarios } from "#app/demo/swaps.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { assertOnce } from "#test/flows/lockFacts.ts";
import type { SwapAnswer } from "#test/flows/requests.ts";
import type { World } from "./processes.ts";
import { askAny, clientsOf } from "./traffic.ts";

const main = fileURLToPath(new URL("../../app/main.ts", import.meta.url));
const ended = new Set(["completed", "refunded", "failed", "initiatorLost", "counterpartyLost"]);
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export type Outcome = {
  readonly messages: { readonly sent: number; readonly delivered: number; readonly duplicates: number };
  readonly swaps: {
    readonly started: number;
    readonly completed: number;
    readonly refunded: number;
    readonly lost: number;
  };
  /** What does not hold, in words; nothing where all does. */
  readonly broken: readonly string[];
};

/** Waits until everything that was accepted has ended, and compares what the chains, the database and the API say. */
export async function settle(
  world: World,
  asked: { messages: readonly string[]; swaps: readonly string[]; before: Holdings },
  patienceMs: number,
): Promise<Outcome> {
  const deadline = Date.now() + patienceMs;
  const clients = clientsOf(world);
  const statusOf = async (
    ids: readonly string[],
    read: (id: string) => Promise<{ status: string }>,
    over: Set<string>,
  ) => {
    const found = new Map<string, { status: string }>();
    for (const id of ids) {
      for (;;) {
        const now = await read(id);
        found.set(id, now);
        if (over.has(now.status) || Date.now() > deadline) break;
        await wait(250);
      }
    }
    return found;
  };
  const messages = await statusOf(
    asked.messages,
    (id) => askAny(clients, (client) => client.messages.get(id)),
    new Set(["delivered", "failed", "dropped"]),
  );
  const swaps = await statusOf(asked.swaps, (id) => askAny(clients, (client) => client.swaps.get(id)), ended);
  const count = (found: ReadonlyMap<string, { status: string }>, status: string) =>
    [...found.values()].filter((each) => each.status === status).length;
  const executed = await executions(world);
  const delivered = count(messages, "delivered");
  const completed = count(swaps, "completed");
  const refunded = count(swaps, "refunded") + count(swaps, "failed");
  const others = [...swaps].filter(([, { status }]) => !["completed", "refunded", "failed"].includes(status));
  const broken = [
    ...(delivered === asked.messages.length
      ? []
      : [`${asked.messages.length - delivered} messages were not delivered`]),
    ...(executed.size === delivered ? [] : [`${executed.size} messages were executed, ${delivered} are said to be`]),
    ...others.map(([id, { status }]) => `swap ${id} is ${status}`),
    ...(await locksOnce(world, [...swaps.values()] as SwapAnswer[])),
    ...checkBalances(
      asked.before,
      await world.ledger.holdings(Object.keys(asked.before)),
      Array.from({ length: completed }, () => scenarios.slice(0, 1)).flat(),
    ),
    ...(await auditHolds(world)),
    ...(await leasesHold(world)),
  ];
  const duplicates = [...executed.values()].reduce((sum, times) => sum + times - 1, 0);
  return {
    messages: { sent: asked.messages.length, delivered, duplicates },
    swaps: { started: asked.swaps.length, completed, refunded, lost: others.length },
    broken: duplicates > 0 ? [...broken, `${duplicates} messages were executed more than once`] : broken,
  };
}

/** How often the destination executed each message, by the gateway's own events. */
async function executions({ network }: World): Promise<ReadonlyMap<string, number>> {
  const { beta } = network.chains;
  if (!beta) throw new Error("there is no chain beta");
  const client = createPublicClient({ transport: http(beta.url), cacheTime: 0 });
  const event = getAbiItem({ abi: gatewayAbi, name: "MessageExecuted" });
  const times = new Map<string, number>();
  const end = await client.getBlockNumber();
  for (let from = 0n; from <= end; from += 500n) {
    const logs = await client.getLogs({
      ...{ address: beta.deployment.gateway, event, fromBlock: from },
      toBlock: from + 499n < end ? from + 499n : end,
    });
    for (const { topics } of logs) {
      if (topics[0] !== toEventSelector(event)) continue;
      times.set(topics[1] ?? "", (times.get(topics[1] ?? "") ?? 0) + 1);
    }
  }
  return times;
}

async function locksOnce({ network }: World, swaps: readonly SwapAnswer[]): Promise<string[]> {
  try {
    await assertOnce(
      network,
      swaps.filter(({ status }) => ended.has(status)),
    );
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

async function auditHolds({ network, postgres }: World): Promise<string[]> {
  try {
    const env = { ...process.env, DATABASE_URL: postgres.url, LOCKSTEP_LOG_LEVEL: "error" };
    await promisify(execFile)(process.execPath, [main, "audit", "verify", "--config", network.layout.service], { env });
    return [];
  } catch (error) {
    return [`the audit does not hold: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/** Terms of a lease follow one another in time, each with one holder. */
async function leasesHold({ postgres }: World): Promise<string[]> {
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string; term: string }>(
      `SELECT name, term FROM (
         SELECT name, term, begun_at, lag(begun_at) OVER w AS before, lag(term) OVER w AS last
         FROM lockstep.lease_terms WINDOW w AS (PARTITION BY name ORDER BY term)) t
       WHERE begun_at < before OR term <> coalesce(last, 0) + 1`,
    );
    return rows.map(({ name, term }) => `the lease ${name} was held out of order in term ${term}`);
  } finally {
    await client.end();
  }
}
