import { delaying, truncatingLogs } from "#test/support/faults.ts";
import { canFillDisk, fillDisk } from "#test/support/fullDisk.ts";
import { failing, type RpcRule } from "#test/support/rpcProxy.ts";
import type { ChainControl } from "./chains.ts";
import type { Chance } from "./chance.ts";
import type { World } from "./processes.ts";

/** Something that goes wrong, and is over when `happen` resolves; the words say to what. */
export type Fault = { readonly kind: string; readonly words: string; happen(): Promise<void> };

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const gwei = 1_000_000_000n;

/** One fault of any kind, as chance has it. */
export function chooseFault(world: World, chains: ReadonlyMap<string, ChainControl>, chance: Chance): Fault {
  const kinds = [killing, pausing, partition, partition, emptyRedis, restartRedis, restartPostgres];
  const further = [deadEndpoint, badEndpoint, reorganisation, feeSpike, killing, pausing, fullDisk];
  return chance.oneOf([...kinds, ...further])(world, chance, chains);
}

type Choose = (world: World, chance: Chance, chains: ReadonlyMap<string, ChainControl>) => Fault;

const killing: Choose = ({ services, validators }, chance) => {
  const process = chance.oneOf([...services, ...validators]);
  const downMs = chance.between(0, 2_000);
  return { kind: "killed", words: process.name, happen: () => process.kill(downMs) };
};

const pausing: Choose = ({ services, validators }, chance) => {
  const process = chance.oneOf([...services, ...validators]);
  const ms = chance.between(500, 7_000);
  return { kind: "paused", words: `${process.name} for ${ms} ms`, happen: () => process.pause(ms) };
};

const partition: Choose = ({ services }, chance) => {
  const process = chance.oneOf(services);
  const store = chance.oneOf(["PostgreSQL", "Redis"] as const);
  const ms = chance.between(1_000, 6_000);
  return {
    kind: `cut from ${store}`,
    words: `${process.name} for ${ms} ms`,
    async happen() {
      process.ways[store].refuse();
      await wait(ms);
      process.ways[store].admit();
    },
  };
};

/** Of a validator: the service's own store is a server here. Where no disk can be made to look full, it is killed. */
const fullDisk: Choose = (world, chance, chains) => {
  if (!canFillDisk()) return killing(world, chance, chains);
  const { name } = chance.oneOf(world.validators);
  const ms = chance.between(1_000, 6_000);
  return {
    kind: "full disk",
    words: `of ${name} for ${ms} ms`,
    async happen() {
      const makeRoom = fillDisk(world.network.layout.validator(name));
      await wait(ms);
      makeRoom();
    },
  };
};

const emptyRedis: Choose = ({ redis }) => ({ kind: "emptied", words: "Redis", happen: () => redis.empty() });

const restartRedis: Choose = ({ redis }, chance) => {
  const downMs = chance.between(0, 3_000);
  return { kind: "restarted", words: `Redis after ${downMs} ms`, happen: () => redis.restart(downMs) };
};

const restartPostgres: Choose = ({ postgres }, chance) => {
  const downMs = chance.between(0, 3_000);
  return { kind: "crashed", words: `PostgreSQL for ${downMs} ms`, happen: () => postgres.restart(downMs) };
};

function endpointFault(kind: string, rule: (chance: Chance) => RpcRule): Choose {
  return ({ endpoints }, chance) => {
    const [chain, proxy] = chance.oneOf([...endpoints]);
    const chosen = rule(chance);
    const ms = chance.between(1_000, 5_000);
    return {
      kind,
      words: `of ${chain} for ${ms} ms`,
      async happen() {
        proxy.use(chosen);
        proxy.sockets("refused");
        await wait(ms);
        proxy.use();
        proxy.sockets("open");
      },
    };
  };
}

const deadEndpoint = endpointFault("dead endpoint", (chance) => failing(chance.oneOf(["hang", "die"] as const)));
/** Slow, or without the logs that there are. */
const badEndpoint = endpointFault("bad endpoint", (chance) =>
  chance.next() < 0.5 ? delaying(chance.between(200, 1_500)) : truncatingLogs(0),
);

const reorganisation: Choose = (_world, chance, chains) => {
  const [chain, control] = chance.oneOf([...chains]);
  const blocks = chance.between(1, 6);
  return { kind: "reorganised", words: `${blocks} blocks of ${chain}`, happen: () => control.reorganise(blocks) };
};

const feeSpike: Choose = (_world, chance, chains) => {
  const [chain, control] = chance.oneOf([...chains]);
  const price = chance.between(20, 200);
  return {
    kind: "fee spike",
    words: `${price} gwei on ${chain}`,
    happen: () => control.spikeFees(BigInt(price) * gwei),
  };
};
