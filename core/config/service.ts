import { z } from "zod";
import { keySourceSchema } from "./accounts.ts";
import { chainConfigSchema } from "./chains.ts";
import { deskConfigSchema } from "./desk.ts";
import { relayConfigSchema } from "./relay.ts";

/** What a process of the service can do, alone or together with others. */
const roles = ["indexer", "relayer", "swapper", "api"] as const;
export type Role = (typeof roles)[number];

const name = z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, "expected lower case letters, digits and dashes");

/** Names of chains, in the configuration and over the API. */
export const chainName = name;

/** The configuration file of the service. Unknown keys are refused. */
export const serviceConfigSchema = z
  .strictObject({
    /** Folder for the embedded database and the start-up token. */
    dataDir: z.string().min(1).default(".lockstep"),
    roles: z
      .array(z.enum(roles))
      .min(1)
      .default([...roles]),
    http: z.strictObject({
      host: z
        .enum(["127.0.0.1", "::1"], "without authentication the service listens on loopback only")
        .default("127.0.0.1"),
      port: z.number().int().min(0).max(65_535),
    }),
    chains: z.record(name, chainConfigSchema).refine((chains) => Object.keys(chains).length > 0, "expected a chain"),
    /** Managed accounts: the service signs for them on every chain. */
    accounts: z.record(name, keySourceSchema),
    /** Seals secrets and signed transactions at rest (AES-256-GCM). */
    sealingKey: keySourceSchema,
    /** Keeps services that share one Redis apart. */
    queuePrefix: name.default("lockstep"),
    relay: relayConfigSchema,
    swap: z.strictObject({
      /** Seconds the service takes to react, a restart included. */
      reactionSeconds: z.number().int().positive(),
      /** Seconds that external parties are given to act, where a request names no timelocks. */
      handoverSeconds: z.number().int().nonnegative().default(120),
      /** Who takes the other side of swaps, and at which prices; there is no desk when left out. */
      desk: deskConfigSchema.optional(),
    }),
  })
  .refine(({ accounts, swap }) => !swap.desk || Object.hasOwn(accounts, swap.desk.account), {
    path: ["swap", "desk", "account"],
    message: "there is no account of this name",
  })
  .readonly();

export type ServiceConfig = z.output<typeof serviceConfigSchema>;
