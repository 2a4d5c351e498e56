import type { Db, Migration, Queryable } from "#core/db/db.ts";
import { type Lane, laneName } from "./lane.ts";
import type { ReasonCode } from "./reasons.ts";

/** What is wrong with a lane until an operator or governance mends it. */
export type Finding = { readonly code: ReasonCode; readonly detail: string };

export const findingMigrations: readonly Migration[] = [
  {
    id: "relay/021-findings",
    sql: `
      -- What comparing lanes with their gateways has shown, by the chain that was compared: not derived from events.
      CREATE TABLE relay_lane_findings (
        lane text NOT NULL, chain text NOT NULL, code text NOT NULL, detail text NOT NULL, PRIMARY KEY (lane, chain, code)
      );
    `,
  },
];

/** Keeps what was found of lanes; `undefined` where all is well. */
export type Findings = {
  /** Answers whether it is news. */
  set(lane: Lane, chain: string, code: ReasonCode, detail: string | undefined): Promise<boolean>;
};

/** Nothing is kept in memory: processes take turns at reading a chain. */
export function createFindings(db: Db): Findings {
  return {
    async set(lane, chain, code, detail) {
      const place = [laneName(lane), chain, code];
      const changed =
        detail === undefined
          ? await db.query(
              "DELETE FROM relay_lane_findings WHERE lane = $1 AND chain = $2 AND code = $3 RETURNING 1",
              place,
            )
          : await db.query(
              `INSERT INTO relay_lane_findings AS known VALUES ($1, $2, $3, $4)
               ON CONFLICT (lane, chain, code) DO UPDATE SET detail = $4 WHERE known.detail <> $4 RETURNING 1`,
              [...place, detail],
            );
      return changed.length > 0;
    },
  };
}

/** By the lanes' names; lanes that are well are absent. */
export async function laneFindings(from: Queryable): Promise<Map<string, Finding>> {
  const rows = await from.query<Finding & { lane: string }>(
    "SELECT lane, code, detail FROM relay_lane_findings ORDER BY lane, code DESC, chain",
  );
  return new Map(rows.map(({ lane, ...finding }) => [lane, finding]));
}
