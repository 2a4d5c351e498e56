import { type ChainConfig, chainConfigSchema } from "#core/config/chains.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Json } from "#core/kernel/json.ts";
import type { ChainEntry } from "./registry.ts";
import { fixedSettings } from "./schemas.ts";
import { spell } from "./words.ts";

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
