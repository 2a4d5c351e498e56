import { loadConfig, parseEnv } from "#core/config/load.ts";
import { serviceConfigSchema } from "#core/config/service.ts";
import { createLog } from "#core/observe/log.ts";
import { composeService } from "../compose.ts";
import { faultsAt } from "../faults.ts";
import { askedToStop } from "../signals.ts";
import { readOptions } from "./options.ts";
import { serviceCommand } from "./specs.ts";

/** Runs the service until it is asked to stop, or until something fails that only a person can mend. */
export async function runService(args: readonly string[]): Promise<number> {
  const values = readOptions(serviceCommand, args);
  const config = loadConfig(values.config, serviceConfigSchema);
  const env = parseEnv();
  const log = createLog({ level: env.LOCKSTEP_LOG_LEVEL, name: "service" });
  const stopping = askedToStop();
  const service = await composeService(config, env, { log, mark: faultsAt(env) });
  await service.start();
  const failure = await Promise.race([stopping.then(() => undefined), service.halted]);
  await service.stop();
  if (failure !== undefined) throw failure;
  return 0;
}
