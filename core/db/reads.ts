import { AsyncLocalStorage } from "node:async_hooks";
import { coalesce } from "../kernel/coalesce.ts";
import type { Db } from "./db.ts";
import { laterPosition, noPosition, type Position } from "./position.ts";
import type { Replica } from "./replica.ts";
import { readStanding } from "./standing.ts";

/** One request that reads, and where. Nothing of it is asked before it reads. */
export type Reading = {
  /** What its caller knows of, and must see. */
  readonly needed: Position;
  place: Promise<"replica" | "primary"> | undefined;
};

export type ReadPlace = "replica" | "primary" | "fallback";

/** Where what decides nothing is read: at the replica where that has what the reader knows of, otherwise at the primary. */
export type Reads = {
  /** For queries alone. At the replica only inside of `run`; everything else of it is the primary's. */
  readonly db: Db;
  /** Runs one or the other. What fails at the replica, for whatever reason, is run at the primary, as is all after it. */
  either<T>(atReplica: () => Promise<T>, atPrimary: () => Promise<T>): Promise<T>;
  run<T>(reading: Reading, work: () => T): T;
  /** Everything that it has seen is at or before it, what this process kept from earlier requests included. */
  seenBy(reading: Reading): Promise<Position>;
  /** Everything that was committed until now is at or before it. */
  written(): Promise<Position>;
};

/** `onRead` hears where each query was answered; `fallback`: at the primary because the replica failed. */
export function createReads(deps: {
  primary: Db;
  replica: Pick<Replica, "admits" | "db" | "position">;
  onRead?(place: ReadPlace): void;
}): Reads {
  const { primary, replica, onRead = () => undefined } = deps;
  const readings = new AsyncLocalStorage<Reading>();
  let newest = noPosition;
  /** All that any request here has seen. */
  let known = noPosition;
  const know = (position: Position): Position => {
    known = laterPosition(known, position);
    return position;
  };
  const look = coalesce(async () => {
    newest = (await readStanding(primary)).position;
  });
  const written = async () => {
    await look("");
    return know(newest);
  };

  async function either<T>(atReplica: () => Promise<T>, atPrimary: () => Promise<T>): Promise<T> {
    const reading = readings.getStore();
    if (!reading) return atPrimary();
    reading.place ??= replica.admits(reading.needed).then((admits) => (admits ? "replica" : "primary"));
    if ((await reading.place) === "replica") {
      try {
        const answer = await atReplica();
        onRead("replica");
        return answer;
      } catch {
        // Never back again: what was seen at the primary may not be at the replica yet.
        reading.place = Promise.resolve("primary");
        onRead("fallback");
        return atPrimary();
      }
    }
    onRead("primary");
    return atPrimary();
  }

  return {
    db: {
      ...primary,
      query: (text, params) =>
        either(
          () => replica.db.query(text, params),
          () => primary.query(text, params),
        ),
    },
    either,
    run: (reading, work) => readings.run(reading, work),
    async seenBy({ place }) {
      if (place === undefined) return known;
      return (await place) === "replica" ? replica.position().then(know, written) : written();
    },
    written,
  };
}
