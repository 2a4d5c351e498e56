import { readFile, stat } from "node:fs/promises";
import { z } from "zod";
import { priceTableSchema } from "#core/config/desk.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { parseJson } from "#core/kernel/json.ts";
import type { Log } from "#core/observe/log.ts";
import { type PriceSource, type PriceTable, rateIn } from "./price.ts";

type Deps = { file: string; maxAgeSeconds: number; clock: Clock; log: Log };

/** `at`: when the prices were true, ISO 8601 with its zone. */
const fileSchema = z.strictObject({ at: z.iso.datetime({ offset: true }), prices: priceTableSchema });

type Known = { readonly at: Date; readonly table: PriceTable };

/**
 * Prices in a JSON file, `{ "at": "2026-11-21T18:00:00Z", "prices": { "ETH/USD": "2500.25" } }`, which is read again when
 * it has changed. While it cannot be read or is not valid, which it is for a moment when it is written in place, the last
 * good prices count. `maxAgeSeconds` after `at` they count no more; neither do prices of as long from now on.
 */
export function createFilePrices(deps: Deps): PriceSource {
  let known: Known | undefined;
  let readAs: string | undefined;

  async function refresh(): Promise<void> {
    const version = await versionOf(deps.file);
    if (version !== undefined && version === readAs) return;
    const read = version === undefined ? undefined : await readPrices(deps.file);
    // Something was written while it was read: the next one reads it again.
    const settled = version !== undefined && version === (await versionOf(deps.file));
    if (!read) deps.log.warn({ file: deps.file }, "the file of prices cannot be read or is not valid");
    known = read ?? known;
    readAs = read && settled ? version : undefined;
  }

  return {
    async price(base, quote) {
      await refresh();
      if (!known) throw unavailable("the file of prices cannot be read or is not valid", base, quote);
      const { at, table } = known;
      const age = Math.abs(deps.clock.now() - at.getTime());
      if (age >= deps.maxAgeSeconds * 1000)
        throw unavailable(`the prices are of ${at.toISOString()}; they count for ${deps.maxAgeSeconds} s`, base, quote);
      const rate = rateIn(table, base, quote);
      if (!rate) throw unavailable(`there is no price of ${base} in ${quote}`, base, quote);
      return { ...rate, at };
    },
  };
}

const unavailable = (message: string, base: string, quote: string) =>
  new LockstepError("price-unavailable", message, { details: { base, quote } });

/** Differs after every change of the file, also where it was replaced by another one; undefined where there is none. */
async function versionOf(file: string): Promise<string | undefined> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].join(" ");
  } catch {
    return undefined;
  }
}

async function readPrices(file: string): Promise<Known | undefined> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  const { data } = fileSchema.safeParse(text === undefined ? undefined : parseJson(text));
  return data && { at: new Date(data.at), table: data.prices };
}
