import { createChain } from "#core/chain/createChain.ts";
import { countEndpointEvents, gaugeEndpoints } from "#core/chain/metrics.ts";
import { readGuardedKey, readServerTls, readTls } from "#core/config/accounts.ts";
import type { ChainConfig } from "#core/config/chains.ts";
import { loadConfig, parseEnv } from "#core/config/load.ts";
import { type ValidatorConfig, validatorConfigSchema } from "#core/config/validator.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { createLog, type Log } from "#core/observe/log.ts";
import { createMetrics } from "#core/observe/metrics.ts";
import { createValidator } from "#relay";
import { createEnding } from "../ending.ts";
import { faultsAt } from "../faults.ts";
import { askedToStop } from "../signals.ts";
import { readOptions } from "./options.ts";
import { validatorCommand } from "./specs.ts";

/** What it has to end in order. */
const stopMs = 30_000;

/**
 * Runs one validator until it is asked to stop, with its configuration read again at every SIGHUP. It shares nothing
 * with the service but the protocol.
 */
export async function runValidator(args: readonly string[]): Promise<number> {
  const values = readOptions(validatorCommand, args);
  const stopping = askedToStop();
  const first = loadConfig(values.config, validatorConfigSchema);
  const log = createLog({ level: parseEnv().LOCKSTEP_LOG_LEVEL, name: first.name });
  const ending = createEnding({ ms: () => stopMs, log });
  // Also while it starts, which may hang on what it waits for.
  void stopping.then(() => ending.begin());
  let current = first;
  let validator = await create(current, log, values.resume);
  try {
    await validator.start();
  } catch (error) {
    ending.begin(error);
    await validator.stop();
    throw error;
  }
  let reloading = Promise.resolve();
  const failure = Promise.withResolvers<never>();
  const reload = async () => {
    const next = await readAgain(values.config, log);
    if (!next) return;
    await validator.stop();
    validator = next.validator;
    try {
      await validator.start();
      current = next.config;
      log.info({ config: values.config }, "configuration was read again");
    } catch (error) {
      log.error({ err: error }, "new configuration does not work, going on with the one before");
      await validator.stop();
      validator = await create(current, log, false);
      await validator.start();
    }
  };
  const onHangUp = () => {
    reloading = reloading.then(reload).catch(failure.reject);
  };
  process.on("SIGHUP", onHangUp);
  try {
    await Promise.race([stopping, failure.promise]);
  } catch (error) {
    ending.begin(error);
    throw error;
  } finally {
    process.off("SIGHUP", onHangUp);
    await reloading;
    await validator.stop();
  }
  return 0;
}

/** A validator by the file as it is now; undefined when that, or a file that it names, is not valid. */
async function readAgain(path: string, log: Log) {
  try {
    const config = loadConfig(path, validatorConfigSchema);
    return { config, validator: await create(config, log, false) };
  } catch (error) {
    log.error({ err: error }, "configuration is not valid, going on with the one before");
    return undefined;
  }
}

async function create(config: ValidatorConfig, log: Log, resume: boolean) {
  const key = await readGuardedKey(config.key, "key");
  const metrics = createMetrics({ process: true });
  const onEndpointEvent = countEndpointEvents(metrics);
  // Each endpoint is a view of its own: the validator has its own rule for how many have to agree.
  const one = (name: string, { agreement: _, ...chain }: ChainConfig, endpoint: ChainConfig["endpoints"][number]) =>
    createChain({ name, ...chain, endpoints: [endpoint] }, { log, clock: systemClock, onEndpointEvent });
  const chains = Object.fromEntries(
    Object.entries(config.chains).map(([name, chain]) => [
      name,
      chain.endpoints.map((endpoint) => one(name, chain, endpoint)),
    ]),
  );
  gaugeEndpoints(metrics, () => Object.values(chains).flat());
  return createValidator({
    serverTls: readServerTls(config.listen.tls, "listen.tls"),
    clientTls: readTls(config.relayerTls, "relayerTls"),
    ...{ config, key, chains, clock: systemClock, log, metrics, resume },
    mark: faultsAt(parseEnv()),
  });
}
