import type { Env } from "#core/config/env.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import type { Migration } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Log } from "#core/observe/log.ts";
import { checkAccounts } from "./accounts.ts";
import { type Connect, checkChain } from "./chains.ts";
import type { Finding } from "./finding.ts";
import { checkLanes, checkValidators } from "./lanes.ts";
import { checkDataFolder, checkKeyFiles, checkNode, checkPort, lookForService } from "./machine.ts";
import { checkArchive, checkDatabase, checkQueue, checkReplica, checkSealingKey } from "./stores.ts";

type Deps = {
  readonly connect: Connect;
  readonly clock: Clock;
  readonly log: Log;
  readonly migrations: readonly Migration[];
  readonly nodeVersion: string;
};

/** Looks at everything that a service of this configuration needs, from the machine up. Changes nothing. */
export async function examine(config: ServiceConfig, env: Env, deps: Deps): Promise<Finding[]> {
  const running = await lookForService(config, env);
  const machine = [checkNode(deps.nodeVersion), checkDataFolder(config, running), ...checkKeyFiles(config)];
  const [port, database, replica, sealing, queue, archive, validators, checkups] = await Promise.all([
    checkPort(config, running),
    checkDatabase(env, deps.migrations, deps.log),
    checkReplica(env, deps.log),
    checkSealingKey(config, env, deps.migrations, deps.log),
    checkQueue(env),
    checkArchive(config, env, deps.log),
    checkValidators(config),
    Promise.all(Object.entries(config.chains).map(([name, settings]) => checkChain(name, settings, deps))),
  ]);
  const chains = new Map(checkups.flatMap(({ chain }) => (chain ? [[chain.name, chain] as const] : [])));
  const [lanes, accounts] = await Promise.all([checkLanes(config, chains, deps.clock), checkAccounts(config, chains)]);
  const ofChains = checkups.flatMap(({ findings }) => findings);
  return [
    ...machine,
    port,
    database,
    ...replica,
    ...sealing,
    queue,
    archive,
    ...ofChains,
    ...lanes,
    ...validators,
    ...accounts,
  ];
}
