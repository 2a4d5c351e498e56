import type { FastifyRequest } from "fastify";
import { laterPosition, noPosition, type Position, parsePosition, positionText } from "../db/position.ts";
import type { Reading, Reads } from "../db/reads.ts";
import { LockstepError } from "../kernel/errors.ts";
import type { Caller } from "./access.ts";
import { positionHeader } from "./positionHeader.ts";
import type { HttpServer } from "./server.ts";

export type Positions = {
  /** What the caller has seen or done so far, as far as this process knows. */
  note(caller: Pick<Caller, "id">, position: Position): void;
  /** To be called once it is known who asks, and before the routes are added. */
  attach(app: HttpServer): void;
};

/** Callers that are remembered; those that asked longest ago go first. */
const mostCallers = 10_000;

/**
 * Lets requests be read at a replica only as far as their callers may not notice: every answer says how far what it shows
 * or did reaches, and a later read sees at least that: by the header where it is sent back, and otherwise where the
 * same process is asked by the same caller.
 */
export function createPositions(reads: Reads): Positions {
  const callers = new Map<string, Position>();
  const readings = new WeakMap<FastifyRequest, Reading>();

  function note({ id }: Pick<Caller, "id">, position: Position): void {
    const before = callers.get(id) ?? noPosition;
    callers.delete(id);
    const [oldest] = callers.keys();
    if (callers.size >= mostCallers && oldest !== undefined) callers.delete(oldest);
    callers.set(id, laterPosition(before, position));
  }

  function begin(request: FastifyRequest): Reading {
    const told = toldBy(request);
    const known = request.caller && callers.get(request.caller.id);
    const reading: Reading = { needed: known ? laterPosition(told, known) : told, place: undefined };
    readings.set(request, reading);
    return reading;
  }

  async function reached(request: FastifyRequest): Promise<Position | undefined> {
    const reading = readings.get(request);
    if (reading) return reads.seenBy(reading);
    return changes(request) && request.caller ? reads.written() : undefined;
  }

  return {
    note,
    attach(app) {
      app.addHook("preHandler", (request, _reply, done) => {
        if (!readsOnly(request)) return done();
        try {
          reads.run(begin(request as FastifyRequest), done);
        } catch (error) {
          done(error as Error);
        }
      });
      app.addHook("onSend", async (request, reply) => {
        // Without it the caller only knows less.
        const position = await reached(request as FastifyRequest).catch(() => undefined);
        if (position === undefined) return;
        if (request.caller) note(request.caller, position);
        reply.header(positionHeader, positionText(position));
      });
    },
  };
}

const readsOnly = ({ method, routeOptions: { url } }: Pick<FastifyRequest, "method" | "routeOptions">): boolean =>
  method === "GET" && (url?.startsWith("/v1/") ?? false);

const changes = ({ method }: FastifyRequest): boolean => !["GET", "HEAD", "OPTIONS"].includes(method);

function toldBy({ headers }: FastifyRequest): Position {
  const given = headers[positionHeader];
  if (given === undefined) return noPosition;
  const position = parsePosition(String(given));
  if (position) return position;
  throw new LockstepError("request-invalid", `${positionHeader}: expected what an earlier answer had there`, {
    details: { field: positionHeader },
  });
}
