import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { address, uint } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { parseJson } from "#core/kernel/json.ts";
import type { Redacted } from "#core/kernel/redacted.ts";
import { assetSchema } from "../events.ts";

const pinnedLeg = z.strictObject({
  chain: z.string(),
  chainId: z.number().int().positive(),
  contract: address,
  asset: assetSchema,
  amount: uint,
});

/** Everything that a quote pins. Quotes are out there for seconds; another form of them gets another version. */
const pinnedSchema = z.strictObject({
  version: z.literal(1),
  nonce: z.string(),
  /** Unix seconds; good before. */
  expiresAt: uint,
  account: z.string(),
  address,
  source: pinnedLeg,
  target: pinnedLeg,
  fee: uint,
});
export type PinnedQuote = z.output<typeof pinnedSchema>;

/** Makes ids of quotes that say all there is to know about them, and reads those that it made. */
export type QuoteIds = {
  issue(pinned: Omit<PinnedQuote, "version" | "nonce">): string;
  /** Throws `quote-invalid` for anything that was not made under these keys, to the bit. Does not ask for the time. */
  read(id: string): PinnedQuote;
};

const macBytes = 32;
const purpose = "lockstep quote\n";

/**
 * An id is base64url of the terms as JSON in one spelling, and their HMAC-SHA-256. What a previous key made is read as
 * well, so that a rotation takes back no quote.
 */
export function createQuoteIds(deps: {
  key: Redacted<Uint8Array>;
  previous?: readonly Redacted<Uint8Array>[];
}): QuoteIds {
  const { key, previous = [] } = deps;
  const mac = (body: Uint8Array, by = key) => createHmac("sha256", by.reveal()).update(purpose).update(body).digest();
  return {
    issue(pinned) {
      const nonce = randomBytes(16).toString("hex");
      const body = Buffer.from(JSON.stringify(z.encode(pinnedSchema, { ...pinned, version: 1, nonce })));
      return Buffer.concat([body, mac(body)]).toString("base64url");
    },
    read(id) {
      const bytes = Buffer.from(id, "base64url");
      // The last letter has bits to spare and decoders pass over what they do not know: only one spelling counts.
      const spelled = bytes.length > macBytes && bytes.toString("base64url") === id;
      const body = bytes.subarray(0, -macBytes);
      const isBy = (by: Redacted<Uint8Array>) => timingSafeEqual(mac(body, by), bytes.subarray(-macBytes));
      if (!spelled || ![key, ...previous].some(isBy)) throw invalid();
      const { data } = pinnedSchema.safeParse(parseJson(body.toString()));
      if (!data) throw invalid();
      return data;
    },
  };
}

const invalid = () =>
  new LockstepError("quote-invalid", "this service did not make the quote, or it was changed", {
    details: { field: "quote" },
  });
