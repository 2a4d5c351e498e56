import { z } from "zod";
import type { EventCodec } from "../events/codec.ts";
import type { StoredEvent } from "../events/store.ts";
import { type Json, parseJson, toJson } from "../kernel/json.ts";
import type { ArchiveItem } from "./kinds.ts";
import { damaged } from "./storage.ts";

/** Of the lines of all files; what is added later is optional, so that the oldest can be read for ever. */
const lineSchema = z.object({
  stream: z.string(),
  kind: z.string(),
  version: z.number(),
  keys: z.array(z.object({ key: z.string(), rank: z.number() })),
  events: z.array(
    z.object({
      position: z.string().transform((text) => BigInt(text)),
      version: z.number(),
      type: z.string(),
      at: z.iso.datetime().transform((text) => new Date(text)),
      data: z.unknown(),
    }),
  ),
  rows: z.custom<Json>().optional(),
});

/** An item as one line of JSON. */
export function lineOfItem(kind: string, item: ArchiveItem, codec: EventCodec): string {
  const { stream, version, keys, rows } = item;
  const events = item.events.map((event) => {
    const { position, type, at } = event;
    return { position, version: event.version, type, at: at.toISOString(), data: codec.encode(event) };
  });
  return toJson({ stream, kind, version, keys, events, ...(rows !== undefined && { rows }) });
}

/** The events of a line. Throws `archive-damaged`, `event-unknown` or `event-invalid`. */
export function eventsOfLine(text: string, stream: string, codec: EventCodec): StoredEvent[] {
  const parsed = lineSchema.safeParse(parseJson(text));
  if (!parsed.success || parsed.data.stream !== stream) throw damaged(`the line of ${stream} holds something else`);
  return parsed.data.events.map((event) => codec.decode({ ...event, stream }));
}
