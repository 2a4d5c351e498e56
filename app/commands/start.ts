import { networkOptionsOf, runLocalNetwork } from "./network.ts";
import { readOptions, usageError } from "./options.ts";
import { runService } from "./service.ts";
import { startCommand } from "./specs.ts";

/** The service of a configuration where one is named, otherwise the local network as `npm start` runs it. */
export async function runStart(args: readonly string[]): Promise<number> {
  const { config, ...network } = readOptions(startCommand, args);
  if (config === undefined) return runLocalNetwork(networkOptionsOf(network), network.json);
  const other = args.find((each) => /^--(data-dir|(alpha-|beta-|validator-)?port|reset)(=|$)/.test(each));
  if (other !== undefined) throw usageError(`${other} is of a local network; the service takes it from ${config}`);
  return runService(["--config", config]);
}
