import { z } from "zod";
import type { ShownKind } from "#core/events/shown.ts";
import { printableId, printableName } from "#core/http/page.ts";
import { defineRoute } from "#core/http/route.ts";
import { shownTransactions } from "#core/sender/shownEvents.ts";
import { shownRelayKinds } from "#relay/routes.ts";
import { shownSwapKinds } from "#swap/routes.ts";
import { eventExample } from "./callerExamples.ts";

/** Everything that is shown of what happens, by what it happens to. */
export const shownKinds: readonly ShownKind[] = [...shownRelayKinds, ...shownSwapKinds, shownTransactions];

const kindNames = shownKinds.map(({ kind }) => kind);
const kindOfType = new Map(shownKinds.flatMap(({ kind, types }) => Object.keys(types).map((type) => [type, kind])));
const typeNames = [...kindOfType.keys()];

const messageSchemas = shownKinds.flatMap(({ kind, types }) =>
  Object.entries(types).map(([type, data]) =>
    z
      .object({
        id: z.string().meta({ description: "Its position: higher than that of everything before it" }),
        type: z.literal(type),
        kind: z.literal(kind),
        subject: z.string().meta({ description: "What it happened to, e.g. the id of a swap" }),
        version: z.int().meta({ description: "1 for the first event of its subject's stream" }),
        at: z.string().meta({ description: "When it was written down, ISO 8601" }),
        chains: z.array(z.string()),
        lane: z.string().optional().meta({ example: "alpha→beta" }),
        data,
      })
      .meta({ id: `${type}Event` }),
  ),
);

const [firstSchema, ...otherSchemas] = messageSchemas;
if (!firstSchema) throw new Error("there are no events to show");

/** An event as streams and webhooks tell it. */
export const eventSchema = z.discriminatedUnion("type", [firstSchema, ...otherSchemas]).meta({ id: "Event" });

/** Names out of a list, in one parameter with commas between them. */
const someOf = (names: readonly string[]) =>
  z
    .string()
    .transform((text, context) => {
      const given = [...new Set(text.split(","))];
      const unknown = given.find((each) => !names.includes(each));
      if (unknown === undefined) return given;
      context.addIssue({
        code: "custom",
        message: `there is no ${JSON.stringify(unknown)}; there are ${names.join(", ")}`,
      });
      return z.NEVER;
    })
    .optional();

/** A place in the order of all events. */
export const eventPosition = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,17})$/, "expected the `id` of an event, or 0")
  .transform((text) => BigInt(text));

const chain = printableName.optional();
const lane = z.string().min(3).max(140).optional();

const eventsQuery = z.strictObject({
  after: eventPosition
    .optional()
    .meta({ type: "string", description: "The `id` of the last event that is known; 0 for all. Now, when left out" }),
  kind: someOf(kindNames).meta({ type: "string", description: `Some of ${kindNames.join(", ")}; commas in between` }),
  type: someOf(typeNames).meta({ type: "string", description: "Types of events; commas in between" }),
  subject: printableId.optional().meta({ description: "Only what happens to it, e.g. the id of a swap" }),
  chain: chain.meta({ description: "Only what concerns this chain" }),
  lane: lane.meta({ description: "Only messages of this lane", example: "alpha→beta" }),
});

/** The filter of a webhook, in JSON. */
export const filterSchema = z
  .strictObject({
    kind: z.array(z.enum(kindNames)).min(1).max(kindNames.length).optional(),
    type: z.array(z.enum(typeNames)).min(1).max(typeNames.length).optional(),
    subject: printableId.optional(),
    chain,
    lane,
  })
  .meta({
    id: "EventFilter",
    description: "What is said of several things has to hold together; everything when empty",
  });

/** The kind of thing that events of a type happen to. */
export const kindOf = (type: string): string | undefined => kindOfType.get(type);

const description = `Each event once, in order, from the one after \`Last-Event-ID\` (or \`after\`) on. The stream ends with
a message \`end\` that says why; open it again with the \`id\` of the last event.`;

const stream = {
  method: "GET",
  access: "viewer",
  tag: "events",
  description,
  query: eventsQuery,
  answer: eventSchema,
  errors: [
    "event-position-unknown",
    "event-position-lost",
    "event-position-gone",
    "streams-full",
    "too-many-streams",
    "chain-unknown",
    "lane-unknown",
  ],
  examples: { answer: eventExample },
} as const;

export const streamEvents = defineRoute({
  ...{ name: "streamEvents", url: "/v1/events", ...stream },
  summary: "Events as they happen, as server-sent events",
});

export const socketEvents = defineRoute({
  ...{ name: "socketEvents", url: "/v1/events/ws", ...stream },
  summary: "The same events over a WebSocket, one JSON text each",
});
