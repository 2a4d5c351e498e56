import { z } from "zod";
import { keySourceSchema } from "./accounts.ts";
import { plainHttpUrl } from "./url.ts";

const days = z.number().positive().max(36_500);

const folderSchema = z.strictObject({
  type: z.literal("folder"),
  /** On a disk that all processes have in common, where there are several machines. */
  path: z.string().min(1),
});

const s3Schema = z.strictObject({
  type: z.literal("s3"),
  /** Without bucket and path; https unless it is in a network of one's own. */
  endpoint: plainHttpUrl,
  region: z.string().min(1).default("us-east-1"),
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "expected the name of a bucket"),
  /** What the names of all files begin with. */
  prefix: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]*(\/[a-z0-9][a-z0-9.-]*)*$/, "expected lower-case words with slashes in between")
    .default("lockstep"),
  accessKeyId: keySourceSchema,
  secretAccessKey: keySourceSchema,
  /** Milliseconds that one request may take. */
  timeoutMs: z.number().int().positive().max(600_000).default(30_000),
});

/** Where what has ended goes to. */
export const archiveConfigSchema = z.strictObject({
  /** Where the database is in the data folder: a folder in that too when left out. */
  store: z.discriminatedUnion("type", [folderSchema, s3Schema]).optional(),
  /** How often it is looked for what may go. */
  everyMinutes: z.number().positive().max(10_080).default(60),
});

const span = (hot: number, warm: number) =>
  z.strictObject({ hotDays: days.default(hot), warmDays: days.default(warm) }).prefault({});

/** How long what has ended stays in the database. In the archive it stays for ever. */
export const retentionSchema = z
  .strictObject({
    /** Messages and swaps. `hotDays` is also how long one partition of the events is written to. */
    events: span(30, 90),
    /** Transactions, and what was signed for them. */
    intents: span(30, 90),
    /** Who asked the API for what. */
    audit: span(30, 90),
    /** Answers to requests with an Idempotency-Key, in hours. */
    idempotencyHours: z.number().min(1).max(8_760).default(24),
  })
  .prefault({});
export type Retention = z.output<typeof retentionSchema>;

const dayMs = 86_400_000;

/** How long something stays in the database after it has ended, in milliseconds. */
export const keptMs = ({ hotDays, warmDays }: Retention["events"]): number => (hotDays + warmDays) * dayMs;
/** How long one partition is written to, in milliseconds. */
export const hotMs = ({ hotDays }: Retention["events"]): number => hotDays * dayMs;
