import { cpuOfEach, cpuTimes } from "../relay/processes.ts";
import { managedSwap } from "../swap/swaps.ts";
import { load, requestText, startBare } from "./processes.ts";
import type { ApiWorld } from "./service.ts";

const connections = 32;

/**
 * `GET /v1/swaps/{id}` of swaps that are over, with authentication, rate limit and log, beside a bare route that answers
 * the same bytes. The two are measured in turns, so that both have the machine as it is; the ratio is the median of the rounds'.
 */
export async function measureReads({ port, headers, ended }: ApiWorld, { rounds = 5, forMs = 3_000 } = {}) {
  const requests = ended.map((id) => requestText(port, { method: "GET", path: `/v1/swaps/${id}`, headers }));
  const answer = await fetch(`http://127.0.0.1:${port}/v1/swaps/${ended[0]}`, { headers });
  const bare = await startBare(await answer.text());
  try {
    const bareRequests = requests.map((text) => text.replace(`:${port}\r\n`, `:${bare.port}\r\n`));
    const perSecond = async (target: number, texts: readonly string[], ms = forMs) => {
      const result = await load({ port: target, connections, requests: texts, forMs: ms });
      if (Object.keys(result.statuses).some((status) => status !== "200")) throw new Error(JSON.stringify(result));
      return result.answered / (result.ms / 1_000);
    };
    await perSecond(port, requests, 1_000);
    await perSecond(bare.port, bareRequests, 1_000);
    const ratios: number[] = [];
    const rates: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const ours = await perSecond(port, requests);
      const theirs = await perSecond(bare.port, bareRequests);
      rates.push(ours);
      ratios.push(ours / theirs);
    }
    return { perSecond: Math.round(median(rates)), bareRatio: Math.round(median(ratios) * 100) / 100 };
  } finally {
    bare.close();
  }
}

/** `POST /v1/swaps`, each with a key of its own, to a process that takes requests and leaves the rest to others. */
export async function measureCreates({ port, headers, world }: ApiWorld, count: number) {
  const body = JSON.stringify(managedSwap);
  const create = () =>
    requestText(port, {
      ...{ method: "POST", path: "/v1/swaps", body },
      headers: { ...headers, "idempotency-key": crypto.randomUUID() },
    });
  const many = (times: number) => Array.from({ length: times }, create);
  await load({ port, connections, requests: many(200) });
  const before = cpuTimes(world.database);
  const { answered, ms, statuses, p50, p99 } = await load({ port, connections, requests: many(count) });
  const cpuMs = cpuOfEach(before, cpuTimes(world.database), count);
  if (statuses["202"] !== count) throw new Error(`not all were accepted: ${JSON.stringify(statuses)}`);
  return { perSecond: Math.round(answered / (ms / 1_000)), p50: round(p50), p99: round(p99), cpuMs };
}

const round = (ms: number) => Math.round(ms * 10) / 10;

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
