import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import websocket from "@fastify/websocket";
import type { Feed } from "#core/events/feed.ts";
import type { EventFilter } from "#core/events/filter.ts";
import type { FeedReader } from "#core/events/members.ts";
import type { Caller } from "#core/http/access.ts";
import { createSseReader } from "#core/http/feedReader.ts";
import type { Positions } from "#core/http/positions.ts";
import type { HttpServer } from "#core/http/server.ts";
import { createSocketReader, longestClientMessage } from "#core/http/socketReader.ts";
import { serveSocket, serveStream } from "#core/http/stream.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { parseLaneName } from "#relay";
import type { Registry } from "../registry/registry.ts";
import { eventPosition, kindOf, socketEvents, streamEvents } from "./eventRoutes.ts";

/** Milliseconds that an upgrade may take. */
const upgradeMs = 10_000;

type Known = { readonly registry: Pick<Registry, "chains" | "lanes"> };
type Deps = Known & {
  readonly feed: Feed;
  readonly clock: Clock;
  /** Hears of the last event that a caller was told of. */
  readonly told?: Positions["note"] | undefined;
  /** Whose pages may open WebSockets, besides the service's own. */
  readonly origins?: readonly string[] | undefined;
};
type Wanted = EventFilter & { readonly after?: bigint | undefined };

/**
 * Lets the server take WebSockets, and ends its streams before it closes. To be called before hooks and routes are added:
 * the connection of an upgrade that one of them refuses is closed with the answer, and would be left open otherwise.
 */
export async function takeSockets(app: HttpServer, feed: Pick<Feed, "stop">): Promise<void> {
  await app.register(websocket, {
    options: { maxPayload: longestClientMessage, perMessageDeflate: false, clientTracking: true },
    errorHandler: (_error, socket) => socket.terminate(),
    preClose: async () => feed.stop(),
  });
  const pending = new Set<Duplex>();
  // One that is refused before the plugin sees it would stay open for ever; a WebSocket takes the timer off.
  app.server.on("upgrade", (_request, socket) => {
    pending.add(socket);
    socket.once("close", () => pending.delete(socket));
    if (socket instanceof Socket) socket.setTimeout(upgradeMs, () => socket.destroy());
  });
  app.addHook("preClose", (done) => {
    for (const socket of pending) if (socket instanceof Socket && socket.timeout) socket.destroy();
    done();
  });
}

/** Serves `/v1/events`: what happens, to whoever listens. */
export function createEventRoutes({ feed, registry, clock, told, origins }: Deps): (app: HttpServer) => Promise<void> {
  async function begin(query: Wanted, lastEventId: string | undefined, caller: Caller | undefined) {
    const { after: asked, ...filter } = query;
    assertFilter({ registry }, filter);
    const subscriber = caller ?? { id: "anyone" };
    const from = lastEventId === undefined || lastEventId === "" ? asked : parseId(lastEventId);
    return { after: await feed.open(from, subscriber), filter, subscriber };
  }
  return async (app) => {
    serveStream(app, streamEvents, async ({ query, lastEventId, caller }) => {
      const wanted = await begin(query, lastEventId, caller);
      return (response) => {
        const leave = () => stop();
        const reader = telling(createSseReader(response, leave, clock), wanted.subscriber, told);
        reader.beat(wanted.after);
        const stop = feed.join(reader, wanted);
      };
    });
    const openSocket: Parameters<typeof serveSocket<typeof socketEvents>>[2] = async (input) => {
      const wanted = await begin(input.query, input.lastEventId, input.caller);
      return (socket) => {
        const leave = () => stop();
        socket.on("message", () => socket.close(1008, "nothing is to be sent here"));
        const stop = feed.join(telling(createSocketReader(socket, leave, clock), wanted.subscriber, told), wanted);
      };
    };
    serveSocket(app, socketEvents, openSocket, origins);
  };
}

/** A reader of whom it is noted how far it was told, before it can ask for what it was told of. */
function telling(reader: FeedReader, subscriber: { readonly id: string }, told: Deps["told"]): FeedReader {
  if (!told) return reader;
  return {
    ...reader,
    send(events) {
      told(subscriber, { log: 0n, event: events.at(-1)?.position ?? 0n });
      reader.send(events);
    },
  };
}

/** Throws for a filter that nothing can fit, naming the field: whoever waits for it would wait for ever. */
export function assertFilter({ registry }: Known, { kind, type, chain, lane }: EventFilter): void {
  const other = type?.find((each) => kind !== undefined && !kind.includes(kindOf(each) ?? ""));
  if (other !== undefined) {
    throw new LockstepError(
      "request-invalid",
      `type: ${other} happens to a ${kindOf(other)}, which \`kind\` leaves out`,
      {
        details: { field: "type" },
      },
    );
  }
  if (chain !== undefined && !registry.chains.get(chain)) {
    const known = registry.chains.entries().map(([name]) => name);
    throw new LockstepError("chain-unknown", `there is no chain "${chain}"`, { details: { field: "chain", known } });
  }
  if (lane !== undefined && !isLane(registry, lane)) {
    const known = registry.lanes.entries().map(([name]) => name);
    throw new LockstepError("lane-unknown", `there is no lane "${lane}"`, { details: { field: "lane", known } });
  }
}

/** One that was taken out of service counts: it has a history. */
function isLane({ chains }: Known["registry"], lane: string): boolean {
  const { origin, destination } = parseLaneName(lane) ?? { origin: "", destination: "" };
  return origin !== destination && chains.get(origin) !== undefined && chains.get(destination) !== undefined;
}

function parseId(text: string): bigint {
  const parsed = eventPosition.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new LockstepError("request-invalid", "last-event-id: expected the `id` of an event, or 0", {
    details: { field: "last-event-id" },
  });
}
