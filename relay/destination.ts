import type { Migration, Queryable } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type Lane, type LaneEnds, laneName } from "./lane.ts";
import { decodeLaneWord, inboundSlots, type LaneWord } from "./protocol/laneWord.ts";

/** A lane as its destination keeps it, with the word it was read from. */
export type Destination = LaneWord & { readonly word: Hex };

/** Head, generation, pause, deferrals and bucket of a lane in one request; at the latest block unless told. */
export async function readDestination({ from, to }: LaneEnds, at?: bigint): Promise<Destination> {
  const word = await to.chain.storage(to.gateway, inboundSlots(from.chain.chainId).state, at);
  return { ...decodeLaneWord(word), word };
}

/** What was last read of a lane at its destination, for people. */
export type DestinationFacts = {
  readonly generation: number;
  readonly isPaused: boolean;
  readonly deferrals: number;
};

export const destinationMigrations: readonly Migration[] = [
  {
    id: "relay/018-destinations",
    sql: `
      -- What was last seen at a lane's destination: for people, not derived from events.
      CREATE TABLE relay_lane_destinations (
        lane text PRIMARY KEY, generation integer NOT NULL, paused boolean NOT NULL, deferrals integer NOT NULL
      );
    `,
  },
];

/** Keeps what was read; a lane about which nothing has changed costs nothing. */
export function createDestinationBook(): {
  save(to: Queryable, lane: Lane, facts: DestinationFacts): Promise<void>;
  /** Others may have written something else meanwhile. */
  forget(lane: Lane): void;
} {
  const saved = new Map<string, string>();
  return {
    async save(to, lane, { generation, isPaused, deferrals }) {
      const row = [laneName(lane), generation, isPaused, deferrals];
      const text = JSON.stringify(row);
      if (saved.get(laneName(lane)) === text) return;
      await to.query(
        `INSERT INTO relay_lane_destinations VALUES ($1, $2, $3, $4)
         ON CONFLICT (lane) DO UPDATE SET generation = $2, paused = $3, deferrals = $4`,
        row,
      );
      saved.set(laneName(lane), text);
    },
    forget: (lane) => void saved.delete(laneName(lane)),
  };
}

/** By the lanes' names; lanes that nobody has looked at yet are absent. */
export async function destinationFacts(from: Queryable): Promise<Map<string, DestinationFacts>> {
  const rows = await from.query<{
    lane: string;
    generation: number;
    paused: boolean;
    deferrals: number;
  }>("SELECT lane, generation, paused, deferrals FROM relay_lane_destinations");
  return new Map(rows.map(({ lane, paused, ...rest }) => [lane, { ...rest, isPaused: paused }]));
}
