import { z } from "zod";

const pageSize = "expected a whole number from 1 to 100";

/** The part of a list's query that says which page of it; newest first, so a page stays the same while others come. */
export const pageQuery = {
  cursor: z
    .string()
    .regex(/^[0-9]{1,18}$/, "expected the `next` of an earlier answer")
    .transform((text) => BigInt(text))
    .optional()
    .meta({ type: "string", description: "The `next` of the page before" }),
  limit: z.coerce.number(pageSize).int(pageSize).min(1, pageSize).max(100, pageSize).default(20),
};

/** Lists what has left the database, instead of what is in it; taken with nothing but the page. */
export const archivedQuery = {
  archived: z
    .enum(["true", "false"])
    .transform((text) => text === "true")
    .optional()
    .meta({ description: "Those in the archive instead; goes with no other filter" }),
};

/** Refuses other filters where what is in the archive is asked for, which is found by ids alone. */
export function isFreeOfFilters({
  archived,
  cursor: _,
  limit: __,
  ...filters
}: Readonly<Record<string, unknown>>): boolean {
  return archived !== true || Object.values(filters).every((value) => value === undefined);
}
export const archivedAlone = { path: ["archived"], message: "what is in the archive cannot be filtered" };

/** The `next` of a page: where the one after it begins. */
export const nextCursor = z.string().optional().meta({ description: "`cursor` of the next page; none on the last" });

const wireTime = z.iso
  .datetime({ offset: true, error: "expected a time such as 2026-01-31T12:00:00Z" })
  .transform((text) => new Date(text));

/** What names one thing in a path. */
export const printableId = z.string().regex(/^[\x21-\x7e]{1,80}$/, "expected an id of printable characters");

/** What a chain may be called, as far as it can be asked for: everything that the configuration takes, and more. */
export const printableName = z.string().regex(/^[\x21-\x7e]{1,64}$/, "expected a name of printable characters");

/** Text that a database takes, and that a terminal can show. */
export const plainText = (most: number) =>
  z
    .string()
    .max(most)
    .regex(/^[^\p{Cc}]*$/u, "expected text without control characters");

/** What a list filters times by. */
export const timeQuery = {
  since: wireTime.optional().meta({ description: "Requested at this time or later, ISO 8601" }),
  until: wireTime.optional().meta({ description: "Requested before this time, ISO 8601" }),
};

/** A page out of rows of which one more was asked for than it may have: a `next` leads to at least one thing. */
export function cutPage<T>(rows: readonly T[], limit: number): { readonly page: readonly T[]; readonly last?: T } {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { page, ...(rows.length > limit && last !== undefined && { last }) };
}
