import { failing, type RpcProxy, startRpcProxy } from "#test/support/rpcProxy.ts";
import { sendBurst, signBurst, untilProcessed } from "./burst.ts";
import { processedNonce } from "./facts.ts";
import { createWallet } from "./wallet.ts";
import { deployRoute, openWorld, type Route, type World } from "./world.ts";

const live = ["alpha", "beta", "gamma", "delta"] as const;
/** The chain that stops answering. */
const dead = "epsilon";
const lanes = 9;
const rounds = 3;

export type LanesBeside = {
  /** Messages a second over the nine lanes, with the tenth lane's destination well and hanging. */
  readonly perSecond: { readonly well: number; readonly hanging: number };
  /** Share of the throughput that the nine lose while the tenth has a backlog for a chain that hangs. */
  readonly lost: number;
};

/**
 * Nine lanes between four chains beside lanes to a fifth one, which is behind a proxy that answers at first and then
 * takes requests and never answers. Rounds alternate, because a busy machine is no constant thing.
 */
export async function measureLanes(messagesEach: number): Promise<LanesBeside> {
  let proxy: RpcProxy | undefined;
  const world = await openWorld("postgres", {
    moreChains: ["gamma", "delta", dead],
    async endpointOf(chain, url) {
      if (chain !== dead) return url;
      proxy = await startRpcProxy(url);
      return proxy.url;
    },
  });
  try {
    const pairs = live.flatMap((from) => live.map((to) => [from, to] as const)).filter(([from, to]) => from !== to);
    const routes: Route[] = [];
    for (const [from, to] of pairs.slice(0, lanes)) routes.push(await routeBetween(world, from, to, routes.length));
    const beside = await routeBetween(world, "alpha", dead, lanes);
    await burst(routes, 100);
    const times = { well: [] as number[], hanging: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      times.well.push(await burst(routes, messagesEach));
      proxy?.use(failing("hang"));
      await sendBurst(beside, await signBurst(beside, messagesEach));
      times.hanging.push(await burst(routes, messagesEach));
      proxy?.use();
      await untilProcessed(beside, BigInt(messagesEach * (round + 1)));
    }
    const messages = messagesEach * lanes;
    const [well, hanging] = [times.well, times.hanging].map((each) => messages / median(each));
    if (!well || !hanging) throw new Error("nothing was measured");
    return {
      perSecond: { well: Math.round(well), hanging: Math.round(hanging) },
      lost: Math.round((1 - hanging / well) * 1000) / 1000,
    };
  } finally {
    await world.close();
    await proxy?.close();
  }
}

async function routeBetween({ network }: World, from: string, to: string, account: number): Promise<Route> {
  const [origin, destination] = [network.chains[from], network.chains[to]];
  if (!origin || !destination) throw new Error("the network has other chains than expected");
  // One account a lane: nonces of several senders would get into each other's way.
  const [sending, receiving] = await Promise.all([createWallet(origin, account), createWallet(destination, account)]);
  return deployRoute(sending, receiving, 1);
}

/** Seconds until all routes have delivered so many messages each. */
async function burst(routes: readonly Route[], messagesEach: number): Promise<number> {
  const prepared = await Promise.all(
    routes.map(async (route) => {
      const target = (await processedNonce(route)) + BigInt(messagesEach);
      return { route, raws: await signBurst(route, messagesEach), target };
    }),
  );
  const start = performance.now();
  const ends = prepared.map(async ({ route, raws, target }) => {
    await sendBurst(route, raws);
    return untilProcessed(route, target);
  });
  return (Math.max(...(await Promise.all(ends))) - start) / 1000;
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
