import { z } from "zod";
import { type ChainConfig, chainConfigSchema } from "#core/config/chains.ts";
import { chainName } from "#core/config/service.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Json } from "#core/kernel/json.ts";
import type { ChainEntry } from "./registry.ts";
import { spell } from "./words.ts";

/** What a chain is recorded under: another value would make it another chain. */
export const fixedSettings = ["chainId", "gateway", "timelock", "stateOracle", "startBlock"] as const;

const settings = chainConfigSchema.unwrap();

/** Body of `POST /v1/chains`: a chain as the configuration file has it, and its name. */
export const newChainSchema = settings.extend({ name: chainName }).meta({ id: "NewChain" });

const bare = (field: z.ZodType): z.ZodType => (field instanceof z.ZodDefault ? (field.unwrap() as z.ZodType) : field);

/** Body of `PATCH /v1/chains/{name}`: any of the settings; those that are fixed are known to be refused by name. */
export const chainPatchSchema = z
  .strictObject(
    Object.fromEntries(
      Object.entries(settings.shape).map(([name, field]) => {
        const isFixed = fixedSettings.some((fixed) => fixed === name);
        const words = isFixed
          ? "Cannot be changed: the same value is taken, another one refused"
          : "`null` takes back what the API said about it";
        return [name, bare(field).nullish().meta({ description: words })];
      }),
    ),
  )
  .meta({ id: "ChainPatch" });

/**
 * What is said about a chain after a patch, and the settings that follow. Throws `setting-fixed`, and `request-invalid`
 * for a setting taken back that nothing else gives.
 */
export function changedSettings(
  entry: ChainEntry,
  before: Readonly<Record<string, Json>>,
  file: ChainConfig | undefined,
  patch: Readonly<Record<string, unknown>>,
): { said: Record<string, Json>; settings: ChainConfig } {
  for (const field of fixedSettings) {
    if (patch[field] === undefined || patch[field] === entry.settings[field]) continue;
    throw new LockstepError("setting-fixed", `${field} of a chain cannot be changed; it is ${entry.settings[field]}`, {
      details: { field },
    });
  }
  const given = Object.entries({ ...before, ...spell(patch) });
  const isSaid = ([name, value]: [string, Json]) => value !== null && (name in before || !isFixedName(name));
  const said = Object.fromEntries(given.filter(isSaid));
  const base = entry.source === "file" && file ? spell(file) : {};
  const result = chainConfigSchema.safeParse({ ...base, ...said });
  if (result.success) return { said, settings: result.data };
  const field = result.error.issues[0]?.path.map(String).join(".") ?? "body";
  throw new LockstepError("request-invalid", `${field}: ${result.error.issues[0]?.message ?? "not valid"}`, {
    details: { field },
  });
}

const isFixedName = (name: string) => fixedSettings.some((fixed) => fixed === name);
