import { z } from "zod";
import { address } from "../kernel/codec.ts";
import { clientTlsSchema, guardedKeySchema, serverTlsSchema } from "./accounts.ts";
import { chainConfigSchema } from "./chains.ts";
import { plainHttpUrl } from "./url.ts";

const name = z.string().min(1);

/** The configuration file of a validator, which shares nothing with the relayer but the protocol. */
export const validatorConfigSchema = z
  .strictObject({
    /** For people and logs. */
    name,
    /** The key that signs checkpoints, and nothing else. */
    key: guardedKeySchema,
    /** Where it answers relayers that ask for a signature. */
    listen: z.strictObject({
      host: z.string().min(1).default("127.0.0.1"),
      port: z.number().int().min(0).max(65_535),
      /** Requests a second that each address may make; twice as many at once. */
      requestsPerSecond: z.number().int().positive().default(500),
      tls: serverTlsSchema.optional(),
    }),
    /** Addresses that sign the requests it answers; anyone may ask when left out. */
    relayers: z.array(address).min(1).optional(),
    /** Base address of the service that new checkpoints are pushed to. */
    relayerUrl: plainHttpUrl,
    /** For `relayerUrl`. */
    relayerTls: clientTlsSchema.optional(),
    /** What it signed and must not contradict (SQLite). Losing this file means losing the protection. */
    storeFile: z.string().min(1),
    /** Its own endpoints. With several, two thirds must agree on a block and the heads at it. */
    chains: z.record(name, chainConfigSchema).refine((chains) => Object.keys(chains).length > 1, "expected two chains"),
    /** Milliseconds between two looks at each chain. */
    pollMs: z.number().int().positive().default(50),
  })
  .readonly();

export type ValidatorConfig = z.output<typeof validatorConfigSchema>;
