import { z } from "zod";
import { problemSchema } from "#core/http/problem.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { isRetryable, LockstepError } from "#core/kernel/errors.ts";
import { parseJson } from "#core/kernel/json.ts";
import { type Authorize, errorOf, unreachable } from "./call.ts";
import type { Places } from "./places.ts";
import { createSseParser } from "./sse.ts";

/** Types that this version does not know yet are told as well, so the data of an event is left as it comes. */
const eventSchema = z.object({
  id: z.string().regex(/^\d{1,18}$/),
  type: z.string(),
  kind: z.string(),
  subject: z.string(),
  version: z.int(),
  at: z.string(),
  chains: z.array(z.string()),
  lane: z.string().optional(),
  data: z.record(z.string(), z.unknown()),
});

/** Something that happened, as the service tells it. */
export type ServiceEvent = z.output<typeof eventSchema>;

/** Which events; all from now on where nothing is said. */
export type EventsQuery = {
  /** The `id` of the last event that is known, 0 for all. */
  readonly after?: string;
  readonly kind?: readonly string[];
  readonly type?: readonly string[];
  readonly subject?: string;
  readonly chain?: string;
  readonly lane?: string;
};

export type EventsOptions = {
  /** Ends the stream, without an error. */
  readonly signal?: AbortSignal;
  /** Hears of each time the way to the service was lost. */
  readonly onLost?: (error: unknown) => void;
};

type Deps = {
  readonly url: string;
  readonly authorize: Authorize;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly places: Places;
  /** Attempts in a row that may fail before the error is thrown; 10 when left out. */
  readonly attempts?: number;
  /** Milliseconds without a sign of life after which a stream counts as lost; 60,000 when left out. */
  readonly silenceMs?: number;
};

const firstPauseMs = 250;
const longestPauseMs = 10_000;

/** Where a stream is, over all its connections. */
type Place = { last: string | undefined; pauseMs: number | undefined; failures: number };

/**
 * Events as they happen, each once and in order, over as many connections as it takes: a lost one is opened again behind
 * the last event. Throws what the service refuses the stream with, and `service-unreachable` after ten attempts in a row.
 */
export function createEvents(deps: Deps) {
  const { clock, attempts = 10 } = deps;
  return async function* events(
    query: EventsQuery = {},
    options: EventsOptions = {},
  ): AsyncGenerator<ServiceEvent, void> {
    const { signal, onLost = () => undefined } = options;
    const place: Place = { last: query.after, pauseMs: undefined, failures: 0 };
    while (!signal?.aborted) {
      try {
        yield* connection(deps, query, place, signal);
        onLost(undefined);
      } catch (error) {
        if (signal?.aborted) return;
        place.failures += 1;
        if (!isRetryable(error) || place.failures >= attempts) throw error;
        onLost(error);
      }
      await clock.sleep(place.pauseMs ?? pauseMs(place.failures), signal);
      place.pauseMs = undefined;
    }
  };
}

const pauseMs = (failures: number) =>
  Math.min(firstPauseMs * 2 ** failures, longestPauseMs) * (0.5 + Math.random() / 2);

/** The events of one connection that were not there before. */
async function* connection(
  deps: Deps,
  query: EventsQuery,
  place: Place,
  signal: AbortSignal | undefined,
): AsyncGenerator<ServiceEvent, void> {
  const silence = new AbortController();
  const heard = watchSilence(deps.silenceMs ?? 60_000, silence);
  const path = pathOf(query, place.last);
  const parse = createSseParser();
  const decoder = new TextDecoder();
  try {
    const body = await open(deps, path, place, signal ? AbortSignal.any([signal, silence.signal]) : silence.signal);
    for await (const piece of body) {
      heard();
      for (const item of parse(decoder.decode(piece, { stream: true }))) {
        if (item.kind === "retry") place.pauseMs = item.ms;
        else if (item.kind === "id") place.last = later(place.last, item.id);
        else if (item.message.event === "end") return;
        else {
          const event = eventOf(item.message.data);
          place.failures = 0;
          if (place.last !== undefined && later(place.last, event.id) === place.last) continue;
          place.last = event.id;
          deps.places.told(event.id);
          yield event;
        }
      }
    }
  } catch (error) {
    throw error instanceof LockstepError || signal?.aborted
      ? error
      : unreachable(deps.url, { method: "GET", path }, error);
  } finally {
    heard.stop();
    silence.abort();
  }
}

async function open({ url, authorize, fetch }: Deps, path: string, { last }: Place, signal: AbortSignal) {
  const place = { method: "GET", path };
  const response = await fetch(new URL(path, url), {
    headers: {
      accept: "text/event-stream",
      ...(last !== undefined && { "last-event-id": last }),
      ...(await authorize({ ...place, body: undefined })),
    },
    ...{ redirect: "error", signal },
  });
  if (!response.ok) throw errorOf(place, response, problemSchema.safeParse(parseJson(await response.text())).data);
  if (!response.body || !response.headers.get("content-type")?.startsWith("text/event-stream")) {
    throw new LockstepError("service-answer-invalid", `GET ${path} was answered with something that is no stream`);
  }
  return response.body;
}

function watchSilence(ms: number, silence: AbortController) {
  let timer = setTimeout(() => silence.abort(), ms);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), ms);
  };
  return Object.assign(heard, { stop: () => clearTimeout(timer) });
}

/** The place goes into the query too: what is between may drop a header that it does not know. */
function pathOf({ after: _, kind, type, ...one }: EventsQuery, last: string | undefined): string {
  const given = { after: last, kind: kind?.join(","), type: type?.join(","), ...one };
  const entries = Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return entries.length === 0 ? "/v1/events" : `/v1/events?${new URLSearchParams(entries)}`;
}

/** Positions are numbers that only rise. */
const later = (one: string | undefined, other: string): string =>
  one !== undefined && /^\d+$/.test(other) && BigInt(one) >= BigInt(other) ? one : other;

function eventOf(text: string): ServiceEvent {
  const parsed = eventSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const field = parsed.error.issues[0]?.path.map(String).join(".") || "event";
  throw new LockstepError("service-answer-invalid", `GET /v1/events: ${field} of an event is not as expected`, {
    details: { field },
  });
}
