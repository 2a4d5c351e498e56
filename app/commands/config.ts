import { z } from "zod";
import { loadConfig } from "#core/config/load.ts";
import { serviceConfigSchema } from "#core/config/service.ts";
import { validatorConfigSchema } from "#core/config/validator.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { toJson } from "#core/kernel/json.ts";
import { exitMend } from "../exitCodes.ts";
import { print } from "../terminal.ts";
import { readOptions } from "./options.ts";
import { configCheckCommand, configSchemaCommand, configShowCommand } from "./specs.ts";

const schemaOf = (validator: boolean) => (validator ? validatorConfigSchema : serviceConfigSchema);

/** Says everything that is wrong with a file, at once. */
export async function runConfigCheck(args: readonly string[]): Promise<number> {
  const { file, validator, json } = readOptions(configCheckCommand, args);
  try {
    loadConfig(file, schemaOf(validator));
  } catch (error) {
    if (!json || !isLockstepError(error, "config-invalid")) throw error;
    print(toJson({ ok: false, errors: error.message.split("\n"), fields: error.details.fields ?? [] }));
    return exitMend;
  }
  print(
    json
      ? toJson({ ok: true, errors: [], fields: [] })
      : `${file}: nothing is wrong with its form; lockstep doctor looks at what it names`,
  );
  return 0;
}

/** The configuration as the service will have it, without what URLs of nodes may hold besides their host. */
export async function runConfigShow(args: readonly string[]): Promise<number> {
  const { file, validator } = readOptions(configShowCommand, args);
  const shown: unknown = JSON.parse(toJson(loadConfig(file, schemaOf(validator))));
  print(JSON.stringify(shown, (_, value) => (typeof value === "string" ? withoutSecrets(value) : value), 2));
  return 0;
}

/** A URL's path, query and user name may be keys of a provider. */
function withoutSecrets(text: string): string {
  if (!/^(https?|wss?):/.test(text) || !URL.canParse(text)) return text;
  const { protocol, host, pathname, search, username, password, hash } = new URL(text);
  const isBare = pathname === "/" && [search, username, password, hash].every((part) => part === "");
  return isBare ? text : `${protocol}//${host}/[redacted]`;
}

export async function runConfigSchema(args: readonly string[]): Promise<number> {
  const { validator } = readOptions(configSchemaCommand, args);
  print(JSON.stringify(z.toJSONSchema(schemaOf(validator), { io: "input", unrepresentable: "any" }), null, 2));
  return 0;
}
