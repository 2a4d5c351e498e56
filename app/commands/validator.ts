import { parseArgs } from "node:util";
import { createChain } from "#core/chain/createChain.ts";
import { readKey } from "#core/config/accounts.ts";
import type { ChainConfig } from "#core/config/chains.ts";
import { loadConfig, parseEnv } from "#core/config/load.ts";
import { validatorConfigSchema } from "#core/config/validator.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { createLog } from "#core/observe/log.ts";
import { createValidator } from "#relay";
import { askedToStop } from "../signals.ts";

/** Runs one validator until it is asked to stop. It shares nothing with the service but the protocol. */
export async function runValidator(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: { config: { type: "string", default: "validator.json" } } });
  const config = loadConfig(values.config, validatorConfigSchema);
  const log = createLog({ level: parseEnv().LOCKSTEP_LOG_LEVEL, name: config.name });
  const one = (name: string, chain: ChainConfig, endpoint: string) =>
    createChain({ name, ...chain, endpoints: [endpoint] }, { log, clock: systemClock });
  const key = readKey(config.key, "key");
  const chains = Object.fromEntries(
    Object.entries(config.chains).map(([name, chain]) => [
      name,
      chain.endpoints.map((endpoint) => one(name, chain, endpoint)),
    ]),
  );
  const stopping = askedToStop();
  const validator = createValidator({ config, key, chains, clock: systemClock, log });
  await validator.start();
  await stopping;
  await validator.stop();
  return 0;
}
