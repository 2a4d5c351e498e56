import type { Db } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type Metrics, sharing } from "#core/observe/metrics.ts";
import { laneFindings } from "./findings.ts";
import { type Lane, type Lanes, laneName } from "./lane.ts";
import { troubles } from "./laneState.ts";
import type { MessageStatus } from "./progress.ts";
import type { ValidatorStatus } from "./validator/status.ts";
import type { ValidatorBook } from "./validators.ts";

type Deps = { db: Db; lanes: Lanes; book: ValidatorBook; clock: Clock };

/** How far the lanes are and what the validators do, whenever somebody looks; the same in every process. */
export function gaugeRelay(metrics: Metrics, deps: Deps): void {
  gaugeLanes(metrics, deps);
  gaugeHolds(metrics, deps);
  gaugeValidators(metrics, deps);
}

const ends = ["origin", "destination"];

function gaugeLanes(metrics: Metrics, { db, lanes, clock }: Deps): void {
  const read = sharing(() => readLanes(db, lanes.all));
  metrics.gauge(
    "lane_nonce",
    "Newest message seen, last final one, and last attempted one",
    [...ends, "which"],
    async (set) => {
      for (const { lane, seen, final, delivered } of await read()) {
        set({ ...lane, which: "seen" }, Number(seen));
        set({ ...lane, which: "final" }, Number(final));
        set({ ...lane, which: "delivered" }, Number(delivered));
      }
    },
  );
  metrics.gauge("lane_lag", "Final messages that were not attempted yet", ends, async (set) => {
    for (const { lane, final, delivered } of await read()) set(lane, Math.max(0, Number(final - delivered)));
  });
  metrics.gauge("lane_backlog", "Messages that were not attempted yet", [...ends, "status"], async (set) => {
    for (const { lane, backlog } of await read()) {
      for (const status of openStatuses) set({ ...lane, status }, backlog[status]);
    }
  });
  metrics.gauge("lane_oldest_seconds", "How long the first of them is known; 0 without one", ends, async (set) => {
    for (const { lane, oldest } of await read()) {
      set(lane, oldest === null ? 0 : Math.max(0, clock.now() - oldest.getTime()) / 1_000);
    }
  });
  metrics.gauge(
    "lane_failed",
    "Messages that failed or were given up, not executed since",
    [...ends, "state"],
    async (set) => {
      const rows = await failedMessages(db);
      for (const { origin, destination } of lanes.all) {
        for (const state of failedStates) set({ origin, destination, state }, 0);
      }
      for (const { count, ...labels } of rows) set(labels, count);
    },
  );
}

const openStatuses = ["sent", "final", "attested", "delivering"] as const satisfies readonly MessageStatus[];

type Figures = {
  readonly lane: Lane;
  readonly seen: bigint;
  readonly final: bigint;
  readonly delivered: bigint;
  readonly backlog: Readonly<Record<(typeof openStatuses)[number], number>>;
  /** When the service learned of the first message that was not attempted. */
  readonly oldest: Date | null;
};

type Row = Figures["backlog"] & {
  place: number;
  seen: bigint | null;
  first: bigint | null;
  unfinal: bigint | null;
  oldest: Date | null;
};

const isOpen = "nonce IS NOT NULL AND executed_block IS NULL AND failed_block IS NULL";

/** All in one statement, which costs as much as the backlogs are long. */
async function readLanes(db: Db, lanes: readonly Lane[]): Promise<Figures[]> {
  const ofLane = "m.origin = wanted.origin AND m.destination = wanted.destination";
  const counted = openStatuses.map((each) => `(count(*) FILTER (WHERE status = '${each}'))::integer AS ${each}`);
  const rows = await db.query<Row>(
    `SELECT wanted.place::integer AS place, newest.nonce AS seen, open.*, oldest.at AS oldest
       FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (origin, destination, place)
       LEFT JOIN LATERAL (
         SELECT nonce FROM relay_messages AS m WHERE ${ofLane} AND nonce IS NOT NULL ORDER BY nonce DESC LIMIT 1
       ) AS newest ON true
       CROSS JOIN LATERAL (
         SELECT ${counted.join(", ")}, min(nonce) AS first, min(nonce) FILTER (WHERE NOT sent_final) AS unfinal
           FROM relay_messages AS m WHERE ${ofLane} AND ${isOpen}
       ) AS open
       LEFT JOIN LATERAL (
         SELECT (SELECT at FROM events WHERE events.position = m.position) AS at
           FROM relay_messages AS m WHERE ${ofLane} AND ${isOpen} ORDER BY nonce LIMIT 1
       ) AS oldest ON true`,
    [lanes.map(({ origin }) => origin), lanes.map(({ destination }) => destination)],
  );
  return rows.flatMap(({ place, seen: newest, first, unfinal, oldest, ...backlog }) => {
    const lane = lanes[place - 1];
    if (!lane) return [];
    const seen = newest ?? 0n;
    const before = (nonce: bigint | null) => (nonce === null ? seen : nonce - 1n);
    const { origin, destination } = lane;
    const figures = { seen, final: before(unfinal), delivered: before(first), backlog, oldest };
    return [{ lane: { origin, destination }, ...figures }];
  });
}

const failedStates = ["waiting", "dead", "abandoned"] as const;

/** Failures are few, and each message is looked up: a planner that joins would read all messages. */
async function failedMessages(db: Db) {
  return db.query<{ origin: string; destination: string; state: (typeof failedStates)[number]; count: number }>(
    `SELECT f.origin, f.destination, count(*)::integer AS count,
            CASE WHEN f.abandoned THEN 'abandoned' WHEN f.dead THEN 'dead' ELSE 'waiting' END AS state
       FROM relay_failures f
      CROSS JOIN LATERAL (
        SELECT 1 FROM relay_messages m
         WHERE m.id = f.id AND m.executed_block IS NULL AND m.status <> 'dropped' OFFSET 0) AS still
      GROUP BY f.origin, f.destination, state`,
  );
}

function gaugeHolds(metrics: Metrics, { db, lanes }: Deps): void {
  metrics.gauge("lane_held", "1 for each reason why a lane delivers nothing", [...ends, "code"], async (set) => {
    const [held, found] = await Promise.all([troubles(db), laneFindings(db)]);
    for (const { origin, destination, hold } of lanes.all) {
      const name = laneName({ origin, destination });
      for (const { code } of [hold, found.get(name), held.get(name)].flatMap((each) => each ?? [])) {
        set({ origin, destination, code }, 1);
      }
    }
  });
}

function gaugeValidators(metrics: Metrics, { db, lanes, book, clock }: Deps): void {
  metrics.gauge("validator_weight", "Most weight that a validator has for any lane now", ["validator"], async (set) => {
    for (const { name, weight } of (await everyone(lanes, book)).values()) set({ validator: name }, Number(weight));
  });
  metrics.gauge(
    "validator_heard_seconds",
    "Since a validator's last new signature came in",
    ["validator"],
    async (set) => {
      const [known, heard] = await Promise.all([everyone(lanes, book), lastHeard(db)]);
      for (const { validator, at } of heard) {
        const found = known.get(validator);
        if (found) set({ validator: found.name }, Math.max(0, clock.now() - at.getTime()) / 1_000);
      }
    },
  );
}

/** Everyone that the configuration names or a valid epoch has, with the most weight of any lane's newest epoch. */
async function everyone(lanes: Lanes, book: ValidatorBook): Promise<Map<Hex, { name: string; weight: bigint }>> {
  const validators = await book.read();
  const found = new Map(book.named.map(({ address, name }) => [address, { name, weight: 0n }]));
  for (const lane of lanes.all) {
    for (const { address, name, weight } of validators.newest(lane).all) {
      const most = found.get(address)?.weight ?? 0n;
      found.set(address, { name, weight: weight > most ? weight : most });
    }
  }
  return found;
}

/** What is kept of each validator is bounded, so this reads few rows. */
async function lastHeard(db: Db): Promise<{ validator: Hex; at: Date }[]> {
  return db.query("SELECT validator, max(received_at) AS at FROM relay_attestations GROUP BY validator");
}

/** What a validator's own process tells of itself, whenever somebody looks. */
export function gaugeValidator(metrics: Metrics, health: () => ValidatorStatus): void {
  metrics.gauge("validator_status", "1 for the state that this validator is in", ["validator", "status"], (set) => {
    const { name, status } = health();
    set({ validator: name, status }, 1);
  });
  metrics.gauge("validator_height", "Last final block that its endpoints agreed on", ["validator", "chain"], (set) => {
    const { name, chains } = health();
    for (const { chain, height } of chains) if (height !== undefined) set({ validator: name, chain }, Number(height));
  });
  metrics.gauge(
    "validator_nonce",
    "Newest final message of a lane, and newest signed",
    ["validator", ...ends, "which"],
    (set) => {
      const { name: validator, lanes } = health();
      for (const { origin, destination, head, signed } of lanes) {
        set({ validator, origin, destination, which: "final" }, Number(head));
        set({ validator, origin, destination, which: "signed" }, Number(signed));
      }
    },
  );
}
