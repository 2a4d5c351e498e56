import { z } from "zod";
import type { Queryable } from "../db/db.ts";
import type { EventStore, StoredEvent } from "./store.ts";

/** What an event is about, as far as readers can choose by it. */
type About = { readonly chains: readonly string[]; readonly lane?: string };

/** How the events of one kind of stream are shown to the outside. */
export type ShownKind = {
  readonly kind: string;
  /** By type: the part of its data that is shown. Whatever a schema does not name stays inside. */
  readonly types: Readonly<Record<string, z.ZodObject>>;
  /** What a stream of this kind is about, e.g. the id of a swap. */
  subjectOf(stream: string): string;
  /** Of an event's data; undefined where the first event of its stream says it for all of them. */
  about(type: string, data: unknown): About | undefined;
};

/** An event as everybody outside gets it. */
export type ShownEvent = About & {
  readonly position: bigint;
  readonly type: string;
  readonly kind: string;
  readonly subject: string;
  /** The message in JSON, made once however many readers there are. */
  readonly text: string;
};

/** Shows events; those of types that are shown to nobody are absent. */
export type Show = (events: readonly StoredEvent[]) => Promise<ShownEvent[]>;

/** Subjects of which it is remembered what they are about. */
const mostRemembered = 20_000;

/** The part of an event's data that is shown: these fields and no others. */
export function only<Shape extends z.ZodRawShape, Field extends keyof Shape & string>(
  schema: z.ZodObject<Shape>,
  ...fields: readonly Field[]
): z.ZodObject<Pick<Shape, Field>> {
  return z.object(Object.fromEntries(fields.map((field) => [field, schema.shape[field]])) as Pick<Shape, Field>);
}

export function createShow(deps: {
  kinds: readonly ShownKind[];
  store: Pick<EventStore, "loadFirst">;
  db: Queryable;
}): Show {
  const { kinds, store, db } = deps;
  const kindOf = new Map(kinds.flatMap((kind) => Object.keys(kind.types).map((type) => [type, kind])));
  const remembered = new Map<string, About>();

  const ownAbout = ({ type, data }: StoredEvent) => kindOf.get(type)?.about(type, data);

  const remember = (stream: string, about: About | undefined) => {
    if (about === undefined) return;
    if (remembered.size >= mostRemembered) remembered.clear();
    remembered.set(stream, about);
  };

  /** What streams are about whose events do not say it themselves. */
  async function aboutStreams(events: readonly StoredEvent[]): Promise<ReadonlyMap<string, About>> {
    const found = new Map<string, About>();
    const missing = new Set<string>();
    for (const event of events) {
      if (event.version === 1) remember(event.stream, ownAbout(event));
      const known = remembered.get(event.stream);
      if (known) found.set(event.stream, known);
      else if (ownAbout(event) === undefined) missing.add(event.stream);
    }
    for (const [stream, event] of await store.loadFirst(db, [...missing])) {
      const about = ownAbout(event);
      remember(stream, about);
      if (about) found.set(stream, about);
    }
    return found;
  }

  return async (events) => {
    const shown = events.filter(({ type }) => kindOf.has(type));
    const abouts = await aboutStreams(shown);
    return shown.flatMap((event) => {
      const kind = kindOf.get(event.type);
      const schema = kind?.types[event.type];
      if (!kind || !schema) return [];
      return [showOne(event, kind, schema, ownAbout(event) ?? abouts.get(event.stream) ?? { chains: [] })];
    });
  };
}

function showOne(event: StoredEvent, { kind, subjectOf }: ShownKind, schema: z.ZodObject, about: About): ShownEvent {
  const { position, type, stream, version, at } = event;
  const subject = subjectOf(stream);
  const text = JSON.stringify({
    ...{ id: position.toString(), type, kind, subject, version, at: at.toISOString(), ...about },
    data: z.encode(schema, event.data as z.output<typeof schema>),
  });
  return { ...about, position, type, kind, subject, text };
}
