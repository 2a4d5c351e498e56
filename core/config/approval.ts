import { z } from "zod";
import { address, uint } from "../kernel/codec.ts";
import { keySourceSchema } from "./accounts.ts";
import { httpUrl } from "./url.ts";

const assetName = z
  .string()
  .refine((key) => key === "native" || address.safeParse(key).success, 'expected "native" or the address of a token');

/** By chain and asset: the amounts, in smallest units, from which a lock is asked about; assets left out always are. */
const askFrom = z.record(z.string().min(1), z.record(assetName, uint)).default({});

/** An answer that anybody on the way could change would be worth nothing. */
const hookUrl = httpUrl.refine((text) => {
  const { protocol, hostname, username, password } = new URL(text);
  const isHere = ["127.0.0.1", "[::1]", "localhost"].includes(hostname);
  return (protocol === "https:" || isHere) && username === "" && password === "";
}, "expected https, or http on this machine, without a user name");

/** Who is asked before a managed account locks. */
export const approvalConfigSchema = z.union(
  [
    z.strictObject({ mode: z.literal("accept") }),
    /** Every lock waits until an operator approves it over the API. */
    z.strictObject({ mode: z.literal("hold"), askFrom }),
    /** A program of the operator's decides. `secret`: 32 bytes that it shares, by which it knows who asks. */
    z.strictObject({
      url: hookUrl,
      secret: keySourceSchema,
      timeoutMs: z.number().int().min(1).max(60_000).default(5_000),
      askFrom,
    }),
  ],
  'expected { "mode": "accept" }, { "mode": "hold" } or { "url": "https://…", "secret": { "file": "…" } }; https, or http on this machine',
);
export type ApprovalConfig = z.output<typeof approvalConfigSchema>;
