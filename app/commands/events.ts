import { isLockstepError } from "#core/kernel/errors.ts";
import type { EventsQuery, ServiceEvent } from "../client/index.ts";
import { interruptible } from "../signals.ts";
import { paint, print, printError } from "../terminal.ts";
import { eventsCommand } from "./clientSpecs.ts";
import { connect } from "./connect.ts";
import { countOption, readOptions, usageError } from "./options.ts";

/** Prints events, one a line, until interrupted or `--count` of them were printed. */
export async function runEvents(args: readonly string[]): Promise<number> {
  const { after, kind, type, subject, chain, lane, count, json, ...where } = readOptions(eventsCommand, args);
  if (after !== undefined && !/^\d{1,18}$/.test(after)) throw usageError("--after: expected the id of an event, or 0");
  let left = count === undefined ? Number.POSITIVE_INFINITY : countOption("--count", count);
  const { client } = connect(where);
  const query: EventsQuery = {
    ...(after !== undefined && { after }),
    ...(kind !== undefined && { kind: kind.split(",") }),
    ...(type !== undefined && { type: type.split(",") }),
    ...(subject !== undefined && { subject }),
    ...(chain !== undefined && { chain }),
    ...(lane !== undefined && { lane }),
  };
  const onLost = (error: unknown) =>
    printError(isLockstepError(error) ? `${error.message}; coming back` : "the stream ended; coming back");
  return interruptible(async (signal) => {
    for await (const event of client.events(query, { signal, onLost })) {
      print(json ? JSON.stringify(event) : describe(event));
      if (--left <= 0) break;
    }
    return 0;
  });
}

const describe = ({ id, at, kind, type, subject, chains, lane, data }: ServiceEvent): string =>
  [
    ...[paint("dim", `${id.padStart(8)}  ${at}`), paint("bold", type), kind, subject],
    ...[lane ?? chains.join(","), paint("dim", JSON.stringify(data))].filter((each) => each !== ""),
  ].join("  ");
