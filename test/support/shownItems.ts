import type { ShownKind } from "#core/events/shown.ts";
import { itemEvents } from "./items.ts";

/** The items of `items.ts` as the outside sees them. Their chains are said by the first event of a stream alone. */
export const shownItems: ShownKind = {
  kind: "item",
  types: itemEvents,
  subjectOf: (stream) => stream,
  about: (type, data) => (type === "Renamed" ? { chains: [(data as { name: string }).name] } : undefined),
};
