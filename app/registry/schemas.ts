import { z } from "zod";
import { chainConfigSchema } from "#core/config/chains.ts";
import { name } from "#core/config/name.ts";

/** What a chain is recorded under: another value would make it another chain. */
export const fixedSettings = ["chainId", "gateway", "timelock", "stateOracle", "startBlock"] as const;

const settings = chainConfigSchema.unwrap();

/** Body of `POST /v1/chains`: a chain as the configuration file has it, and its name. */
export const newChainSchema = settings.extend({ name }).meta({ id: "NewChain" });

const bare = (field: z.ZodType): z.ZodType => (field instanceof z.ZodDefault ? (field.unwrap() as z.ZodType) : field);

/** Body of `PATCH /v1/chains/{name}`: any of the settings; those that are fixed are known to be refused by name. */
export const chainPatchSchema = z
  .strictObject(
    Object.fromEntries(
      Object.entries(settings.shape).map(([setting, field]) => {
        const isFixed = fixedSettings.some((fixed) => fixed === setting);
        const words = isFixed
          ? "Cannot be changed: the same value is taken, another one refused"
          : "`null` takes back what the API said about it";
        return [setting, bare(field).nullish().meta({ description: words })];
      }),
    ),
  )
  .meta({ id: "ChainPatch" });
