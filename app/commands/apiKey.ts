import { loadConfig, parseEnv } from "#core/config/load.ts";
import { serviceConfigSchema } from "#core/config/service.ts";
import { migrate } from "#core/db/migrate.ts";
import { createApiKeys } from "#core/http/credentials/apiKeys.ts";
import { accessMigrations } from "#core/http/credentials/tables.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { createLog } from "#core/observe/log.ts";
import { apiKeyOrderSchema } from "../api/apiKeyRoutes.ts";
import { viewOf } from "../api/apiKeys.ts";
import { layFoundation } from "../foundation.ts";
import { print } from "../terminal.ts";
import { readOptions, usageError } from "./options.ts";
import { apiKeyCreateCommand } from "./specs.ts";

/**
 * Makes a key straight in the database, for whoever has the configuration's keys anyway: the first one, which no API
 * call can ask for. Prints it as JSON, with the secret, once.
 */
export async function runApiKeyCreate(args: readonly string[]): Promise<number> {
  const values = readOptions(apiKeyCreateCommand, args);
  const { name, role, kind, accounts, expires } = values;
  const order = parseOrder({ name, role, kind, accounts: accounts?.split(",").filter(Boolean), expiresAt: expires });
  const config = loadConfig(values.config, serviceConfigSchema);
  const env = parseEnv();
  const log = createLog({ level: env.LOCKSTEP_LOG_LEVEL, name: "api-key" });
  const foundation = await layFoundation(config, env, { log, clock: systemClock });
  try {
    await migrate(foundation.db, accessMigrations);
    const keys = createApiKeys({ ...foundation, accounts: Object.keys(config.accounts), clock: systemClock, log });
    const { key, secret } = await keys.create(order, "command line");
    print(JSON.stringify({ ...viewOf(key), secret: secret.reveal() }));
    return 0;
  } finally {
    await foundation.close();
  }
}

/** Throws a wrong use of the command that names the option. */
function parseOrder(given: Record<string, unknown>) {
  const result = apiKeyOrderSchema.safeParse(given);
  if (!result.success) {
    const [issue] = result.error.issues;
    const field = String(issue?.path[0] ?? "name");
    throw usageError(`${optionOf(field)}: ${given[field] === undefined ? "expected a value" : issue?.message}`);
  }
  const { expiresAt, ...order } = result.data;
  if (expiresAt === undefined) return order;
  if (Date.parse(expiresAt) <= systemClock.now()) throw usageError(`${optionOf("expiresAt")}: expected a time to come`);
  return { ...order, expiresAt: new Date(expiresAt) };
}

const optionOf = (field: string): string => `--${field === "expiresAt" ? "expires" : field}`;
