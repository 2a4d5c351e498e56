import type pg from "pg";
import { createApiClient } from "#app/demo/api.ts";
import { runBurst } from "../relay/burst.ts";
import { measureLatency, quantiles } from "../relay/latency.ts";
import type { World } from "../relay/world.ts";
import { measureLatency as measureSwaps } from "../swap/latency.ts";
import { storedMessages } from "./past.ts";

/** Of one message in a burst, of one swap, and of one look at the API. Milliseconds are of this machine. */
export type Cost = {
  readonly stored: number;
  readonly messagesPerSecond: number;
  readonly messageServiceMs: number;
  readonly messageStatements: number;
  readonly messageRows: number;
  readonly messageMs: number;
  readonly swapMs: number;
  readonly swapStatements: number;
  readonly swapRows: number;
  readonly getMs: number;
  readonly listMs: number;
  /** Rows that sequential scans of the tables of events and messages read, of all that was measured. */
  readonly scanned: number;
};

const burst = 2_000;
const alone = 60;
const swaps = 20;
const looks = 100;

export async function measureCosts(client: pg.Client, world: World): Promise<Cost> {
  const stored = await storedMessages(client);
  const counted = async <T>(work: () => Promise<T>) => {
    const before = await counts(client);
    const result = await work();
    // What PostgreSQL counts arrives a moment after the transaction.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const after = await counts(client);
    return { result, statements: after.statements - before.statements, rows: after.rows - before.rows };
  };
  const scannedBefore = (await counts(client)).scanned;
  const burstCost = await counted(() => runBurst(world, burst));
  const { perSecond, cpuMs, lost } = burstCost.result;
  if (lost > 0) throw new Error(`${lost} messages were lost`);
  const { p50: messageMs } = await measureLatency(world, alone);
  const swapCost = await counted(() => measureSwaps(world, swaps));
  const api = createApiClient({ url: world.network.api, token: world.network.token() });
  const page = await api.get<{ messages: { id: string }[] }>("/v1/messages?limit=100");
  const getMs = await timed(
    page.messages.map(
      ({ id }) =>
        () =>
          api.get(`/v1/messages/${id}`),
    ),
  );
  const lists = ["/v1/messages?limit=20", "/v1/messages?limit=20&status=delivered", "/v1/lanes", "/v1/swaps?limit=20"];
  const listMs = await timed(Array.from({ length: looks }, (_, at) => () => api.get(lists[at % lists.length] ?? "")));
  return {
    ...{ stored, messagesPerSecond: perSecond },
    messageServiceMs: cpuMs.relayer ?? 0,
    ...{ messageStatements: each(burstCost.statements, burst), messageRows: each(burstCost.rows, burst), messageMs },
    ...{ swapMs: swapCost.result.p50, swapStatements: each(swapCost.statements, swaps) },
    ...{ swapRows: each(swapCost.rows, swaps), getMs, listMs },
    scanned: (await counts(client)).scanned - scannedBefore,
  };
}

const each = (sum: number, count: number) => Math.round((100 * sum) / count) / 100;

async function timed(asks: readonly (() => Promise<unknown>)[]): Promise<number> {
  const times: number[] = [];
  for (const ask of asks) {
    const start = performance.now();
    await ask();
    times.push(performance.now() - start);
  }
  return Math.round(10 * quantiles(times).p50) / 10;
}

async function counts(client: pg.Client): Promise<{ statements: number; rows: number; scanned: number }> {
  const { rows } = await client.query<{ statements: string; rows: string; scanned: string }>(
    `SELECT (SELECT sum(calls) FROM pg_stat_statements) AS statements,
            (SELECT sum(n_tup_ins + n_tup_upd) FROM pg_stat_user_tables) AS rows,
            (SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables
              WHERE relname ~ '^(events|relay_messages)') AS scanned`,
  );
  const [row] = rows;
  return { statements: Number(row?.statements), rows: Number(row?.rows), scanned: Number(row?.scanned) };
}
