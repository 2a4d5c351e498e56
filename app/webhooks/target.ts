import { z } from "zod";
import type { SealedTable } from "#core/db/reseal.ts";
import { type Redacted, redact } from "#core/kernel/redacted.ts";
import type { Sealer } from "#core/kernel/seal.ts";

/** Where a webhook leads, and what its deliveries are signed with. */
export type Target = { readonly url: Redacted<string>; readonly secret: Redacted<string> };

const targetSchema = z.object({ url: z.string(), secret: z.string() });
const contextOf = (id: string) => `webhook ${id}`;

/** The sealed column, for a rotation of the key. */
export const sealedTargets: SealedTable = {
  ...{ table: "webhooks", key: ["id"] },
  context: ([id = ""]) => contextOf(id),
};

export function sealTarget(sealer: Sealer, id: string, { url, secret }: Target): Buffer {
  return sealer.seal(Buffer.from(JSON.stringify({ url: url.reveal(), secret: secret.reveal() })), contextOf(id));
}

/** Throws when no configured key opens it. */
export function openTarget(sealer: Sealer, { id, sealed }: { readonly id: string; readonly sealed: Buffer }): Target {
  const { url, secret } = targetSchema.parse(JSON.parse(sealer.open(sealed, contextOf(id)).toString()));
  return { url: redact(url), secret: redact(secret) };
}
