import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { openWorld, type World } from "../relay/world.ts";
import { inParallel, managedSwap, openApi, type SwapAnswer } from "../swap/swaps.ts";

/** A network whose API takes keys, limits every caller and logs every request; and ids of swaps that are over. */
export type ApiWorld = {
  readonly port: number;
  /** What a trader's requests carry. */
  readonly headers: Readonly<Record<string, string>>;
  readonly ended: readonly string[];
  readonly world: World;
};

const main = new URL("../../app/main.ts", import.meta.url).pathname;
/** Far above what can be asked, so that the limit is looked at and turns nobody away. */
const often = { perMinute: 60_000_000, burst: 1_000_000 };

export async function openApiWorld(swaps: number): Promise<ApiWorld> {
  const world = await openWorld("postgres", { serviceEnv: { REDIS_URL: "" } });
  try {
    const ended = await completeSwaps(world, swaps);
    const { network } = world;
    const file = network.layout.service;
    const config = JSON.parse(readFileSync(file, "utf8"));
    await network.service.stop();
    const http = { ...config.http, access: {}, rateLimit: { caller: often, address: often } };
    writeFileSync(file, JSON.stringify({ ...config, http, roles: ["api"] }));
    const env = { ...process.env, DATABASE_URL: databaseOf(world) };
    const args = [main, "api-key", "create", "--config", file, "--name", "bench", "--role", "trader"];
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    await network.service.start();
    const { secret } = JSON.parse(stdout) as { secret: string };
    const { port } = new URL(network.api);
    return { port: Number(port), headers: { authorization: `Bearer ${secret}` }, ended, world };
  } catch (error) {
    await world.close();
    throw error;
  }
}

async function completeSwaps(world: World, count: number): Promise<string[]> {
  const api = openApi(world);
  return inParallel(Array.from({ length: count }), 10, async () => {
    const { id } = await api.post<SwapAnswer>("/v1/swaps", managedSwap);
    await api.until<SwapAnswer>(`/v1/swaps/${id}`, ({ status }) => status === "completed", 60_000);
    return id;
  });
}

function databaseOf({ database }: World): string {
  if (database === undefined) throw new Error("this is measured on PostgreSQL");
  return `postgres://postgres@127.0.0.1:5432/${database}`;
}
