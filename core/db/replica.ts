import pg from "pg";
import type { Clock } from "../kernel/clock.ts";
import { coalesce } from "../kernel/coalesce.ts";
import { LockstepError } from "../kernel/errors.ts";
import { type Loop, startLoop } from "../kernel/loop.ts";
import type { Log } from "../observe/log.ts";
import type { Queryable } from "./db.ts";
import { createPool } from "./pool.ts";
import { covers, noPosition, type Position } from "./position.ts";
import { createLag } from "./replicaLag.ts";
import { readStanding, type Standing, standingOfClient } from "./standing.ts";
import { runStatement } from "./statement.ts";

export const replicaStates = ["untried", "used", "lagging", "away", "promoted", "foreign"] as const;
/**
 * `lagging`: further behind than it may be; `promoted`: it follows nobody any more; `foreign`: it does not follow this
 * primary, or has what the primary never had.
 */
export type ReplicaState = (typeof replicaStates)[number];

/** A streaming replica of the database, for reading. */
export type Replica = {
  start(): void;
  stop(): Promise<void>;
  /**
   * Whether reads from now on see everything up to the position. Waits a moment for it, but for none beyond what the primary
   * was last seen at: anybody can make such a one up.
   */
  admits(position: Position): Promise<boolean>;
  /** Fails wherever the primary has to be asked instead, whatever the reason; within bounded time. */
  readonly db: Queryable;
  /** Everything that was seen here until now is at or before it. */
  position(): Promise<Position>;
  /** `lagMs`: for how long something is in the primary that is not here, at most; undefined where that is not known. */
  status(): { readonly state: ReplicaState; readonly lagMs: number | undefined };
};

export type ReplicaOptions = {
  readonly connectionString: string;
  readonly primary: Queryable;
  readonly schema: string;
  readonly log: Log;
  readonly clock: Clock;
  /** Milliseconds that it may be behind. */
  readonly mostLagMs?: number;
  /** Milliseconds that a reader waits for it to have what the reader knows of. */
  readonly patienceMs?: number;
  /** Milliseconds between two looks at it. */
  readonly lookMs?: number;
};

/** Milliseconds after which a replica that says nothing counts as away. */
const answerMs = 2_000;
const pollMs = 5;
/** After somebody has waited in vain others do not, for so many milliseconds. */
const restMs = 1_000;

/**
 * Every connection that reads was seen to be at the same server, and at or past everything that was read here before: a
 * replica that was started again may be behind itself, and one name may lead to several servers.
 */
export function createReplica(options: ReplicaOptions): Replica {
  const { primary, schema, clock, mostLagMs = 5_000, patienceMs = 100, lookMs = 250 } = options;
  const log = options.log.child({ module: "replica" });
  const { connectionString } = options;
  const pool = createPool({ connectionString, schema, log, name: "lockstep reads", readOnly: true });
  const servers = new WeakMap<pg.PoolClient, string>();
  const lag = createLag();
  let state: ReplicaState = "untried";
  let server = "";
  let cluster = "";
  let bound = noPosition;
  /** Of the primary, when it was last looked at. */
  let written = noPosition;
  let restsUntil = Number.NEGATIVE_INFINITY;
  let loop: Loop | undefined;

  function become(next: ReplicaState): void {
    if (next === state) return;
    const from = state;
    state = next;
    if (next === "used") log.info({ from }, "reads go to the replica");
    else log.warn({ state: next }, "reads go to the primary");
  }

  async function onClient<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const connecting = pool.connect();
    const client = await inTime(connecting, clock).catch((error: unknown) => {
      void connecting.then(
        (late) => late.release(),
        () => undefined,
      );
      throw error;
    });
    try {
      const answer = await inTime(work(client), clock);
      client.release();
      return answer;
    } catch (error) {
      // What has not answered may answer later, to somebody else.
      client.release(!(error instanceof pg.DatabaseError));
      throw error;
    }
  }

  /** Asks a connection where it stands, and takes its word where it is one that can be read from. */
  async function check(client: pg.PoolClient): Promise<Standing> {
    const standing = await standingOfClient(client);
    if (standing.isReplica && standing.cluster === cluster && covers(standing.position, bound)) {
      bound = standing.position;
      servers.set(client, standing.server);
    }
    return standing;
  }

  const refresh = coalesce(async () => {
    const { server: at, isReplica } = await onClient(check);
    if (!isReplica) become("promoted");
    if (at !== server) throw new Error("another server answered than before");
  });

  async function look(): Promise<void> {
    try {
      const before = clock.now();
      if (cluster === "") cluster = (await readStanding(primary)).cluster;
      const own = await onClient(check);
      const main = await readStanding(primary);
      if (main.cluster !== cluster) [cluster, bound] = [main.cluster, noPosition];
      server = own.server;
      written = main.position;
      const lagMs = lag.note({ main: main.position, own: own.position, at: before, now: clock.now() });
      become(judge(own, main, lagMs));
    } catch (error) {
      log.debug({ err: error }, "the replica does not answer");
      become("away");
    }
  }

  function judge(own: Standing, main: Standing, lagMs: number | undefined): ReplicaState {
    if (own.cluster !== main.cluster) return "foreign";
    if (!own.isReplica) return "promoted";
    if (!covers(main.position, own.position)) return "foreign";
    if (lagMs === undefined || lagMs > mostLagMs || !covers(own.position, bound)) return "lagging";
    return "used";
  }

  /** True once it is there; gives up after a while, or where somebody just has. */
  async function reaches(position: Position): Promise<boolean> {
    const until = clock.now() + patienceMs;
    while (state === "used" && clock.now() >= restsUntil) {
      await refresh("");
      if (covers(bound, position)) return true;
      if (clock.now() >= until) restsUntil = clock.now() + restMs;
      else await clock.sleep(pollMs);
    }
    return false;
  }

  return {
    start() {
      const step = async () => {
        await look();
        return "idle" as const;
      };
      loop ??= startLoop({ step, clock, idleMs: lookMs, onError: () => undefined });
    },
    async stop() {
      await loop?.stop();
      await pool.end();
    },
    async admits(position) {
      if (state !== "used") return false;
      if (covers(bound, position)) return true;
      return covers(written, position) && reaches(position).catch(() => false);
    },
    db: {
      query: <Row extends object>(text: string, params?: readonly unknown[]) =>
        onClient(async (client) => {
          if (servers.get(client) !== server) {
            const { server: at } = await check(client);
            if (at !== server || servers.get(client) !== server) throw elsewhere();
          }
          return runStatement<Row>(client, text, params);
        }),
    },
    async position() {
      await refresh("");
      return bound;
    },
    status: () => ({ state, lagMs: lag.behindMs(clock.now()) }),
  };
}

const elsewhere = () =>
  new LockstepError("database-unreachable", "the replica is not where it was, or is behind what was read there");

/** Fails where nothing comes in time. */
async function inTime<T>(work: Promise<T>, clock: Clock): Promise<T> {
  const over = new AbortController();
  const late = clock.sleep(answerMs, over.signal).then(() => {
    throw new LockstepError("database-unreachable", "the replica did not answer in time");
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    over.abort();
  }
}
