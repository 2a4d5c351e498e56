import { loadConfig, parseEnv } from "#core/config/load.ts";
import { type ServiceConfig, serviceConfigSchema } from "#core/config/service.ts";
import { createLog } from "#core/observe/log.ts";
import { composeService } from "../compose.ts";
import { createEnding } from "../ending.ts";
import { faultsAt } from "../faults.ts";
import type { Service } from "../lifecycle.ts";
import { askedToStop } from "../signals.ts";
import { readOptions } from "./options.ts";
import { serviceCommand } from "./specs.ts";

/** Runs the service until it is asked to stop, or until something fails that only a person can mend. */
export async function runService(args: readonly string[]): Promise<number> {
  const values = readOptions(serviceCommand, args);
  const read = () => loadConfig(values.config, serviceConfigSchema);
  const config = read();
  const env = parseEnv();
  const log = createLog({ level: config.logLevel ?? env.LOCKSTEP_LOG_LEVEL, name: "service" });
  const stopping = askedToStop();
  let service: Service | undefined;
  const ending = createEnding({ ms: () => stopMs(service?.config() ?? config), log });
  // Also while it starts, which may hang on what it waits for.
  void stopping.then(() => ending.begin());
  service = await composeService(config, env, { log, mark: faultsAt(env), read, onFailed: ending.begin });
  await service.start();
  const failure = await Promise.race([stopping.then(() => undefined), service.halted]);
  ending.begin(failure);
  await service.stop();
  if (failure !== undefined) throw failure;
  return 0;
}

const stopMs = ({ fleet }: ServiceConfig): number => 1_000 * (fleet.drainSeconds + fleet.stopSeconds);
