import { z } from "zod";
import { address } from "../kernel/codec.ts";
import { accountSourceSchema, keySourceSchema } from "./accounts.ts";
import { approvalConfigSchema } from "./approval.ts";
import { archiveConfigSchema, retentionSchema } from "./archive.ts";
import { chainConfigSchema } from "./chains.ts";
import { deskConfigSchema } from "./desk.ts";
import { httpConfigSchema } from "./http.ts";
import { levels } from "./levels.ts";
import { name } from "./name.ts";
import { relayConfigSchema } from "./relay.ts";
import { telemetryConfigSchema } from "./telemetry.ts";

/** What a process of the service can do, alone or together with others. */
const roles = ["indexer", "relayer", "swapper", "api"] as const;
export type Role = (typeof roles)[number];

const watchtowerSchema = z.strictObject({
  /** Managed account that pays for the claims and refunds, and that gets the tips. */
  account: name,
  /** By chain: assets whose locks are taken whatever their tip. */
  tokens: z.record(name, z.array(z.union([z.literal("native"), address]))).default({}),
  /** The least tip of other locks, in percent of what the gas of one claim costs when somebody asks. */
  minTipPercent: z.number().int().nonnegative().max(100_000).default(100),
  /** Most locks of others that are watched at once. */
  maxWatched: z.number().int().positive().default(1_000),
});

/** Several processes on one database. */
const fleetSchema = z
  .strictObject({
    /** What this process is called where all are listed; the host's name where this is left out. */
    instance: name.optional(),
    /**
     * How long what one process alone may do stays with one that is not heard of. Another goes on with it after twice
     * that at the latest; what the service takes to react has to allow for it.
     */
    leaseSeconds: z.number().min(0.5).max(300).default(5),
    /** Seconds between saying that it is not ready and closing its port when it is asked to end. */
    drainSeconds: z.number().min(0).max(600).default(0),
    /** Seconds besides that the process has to finish what it does and to close; then it ends as it is. */
    stopSeconds: z.number().min(1).max(600).default(30),
  })
  .prefault({});

export type WatchtowerConfig = z.output<typeof watchtowerSchema>;

/** The configuration file of the service. Unknown keys are refused. */
export const serviceConfigSchema = z
  .strictObject({
    /** Folder for the embedded database and the start-up token. */
    dataDir: z.string().min(1).default(".lockstep"),
    /** What the log tells; LOCKSTEP_LOG_LEVEL says it where this is left out. */
    logLevel: z.enum(levels).optional(),
    roles: z
      .array(z.enum(roles))
      .min(1)
      .refine((all) => new Set(all).size === all.length, "expected each role once")
      .default([...roles]),
    http: httpConfigSchema,
    chains: z.record(name, chainConfigSchema).refine((chains) => Object.keys(chains).length > 0, "expected a chain"),
    /** Managed accounts: the service signs for them on every chain. */
    accounts: z.record(name, accountSourceSchema),
    /** Seals secrets and signed transactions at rest (AES-256-GCM). */
    sealingKey: keySourceSchema,
    /** Open what was sealed before a rotation; each may go once `keys rotate` says that no row needs it. */
    previousSealingKeys: z.array(keySourceSchema).max(8).default([]),
    /** Keeps services that share one Redis apart. */
    queuePrefix: name.default("lockstep"),
    fleet: fleetSchema,
    retention: retentionSchema,
    /** Where what has ended goes to; the data folder where the database is in it too, otherwise nowhere. */
    archive: archiveConfigSchema.optional(),
    telemetry: telemetryConfigSchema,
    relay: relayConfigSchema,
    swap: z.strictObject({
      /** Seconds the service takes to react, a restart included. */
      reactionSeconds: z.number().int().positive(),
      /** Seconds that external parties are given to act, where a request names no timelocks. */
      handoverSeconds: z.number().int().nonnegative().default(120),
      /**
       * How many times the present price of gas the coin is kept for that claims and refunds of open swaps may take; never
       * more than such a transaction may offer.
       */
      feeHeadroom: z.number().int().min(1).max(10_000).default(10),
      /** Who is asked before a managed account locks. */
      approval: approvalConfigSchema.default({ mode: "accept" }),
      /** Who takes the other side of swaps, and at which prices; there is no desk when left out. */
      desk: deskConfigSchema.optional(),
      /** Which locks of others are driven to their end when somebody asks for it; none where this is left out. */
      watchtower: watchtowerSchema.optional(),
    }),
  })
  .refine(({ accounts, swap }) => !swap.desk || Object.hasOwn(accounts, swap.desk.account), {
    path: ["swap", "desk", "account"],
    message: "there is no account of this name",
  })
  .readonly();

export type ServiceConfig = z.output<typeof serviceConfigSchema>;
