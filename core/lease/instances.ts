import { z } from "zod";
import type { Db, Migration } from "../db/db.ts";
import { LockstepError } from "../kernel/errors.ts";
import { toJson } from "../kernel/json.ts";
import { leasesChannel } from "./tables.ts";

export const instanceMigrations: readonly Migration[] = [
  {
    id: "instances/001-create",
    sql: `
      CREATE TABLE instances (
        id text PRIMARY KEY,
        name text NOT NULL,
        host text NOT NULL,
        pid integer NOT NULL,
        version text NOT NULL,
        roles text[] NOT NULL,
        -- Of leases that it wants.
        groups text[] NOT NULL,
        started_at timestamptz NOT NULL,
        seen_at timestamptz NOT NULL,
        stopped_at timestamptz,
        drain_asked_by text,
        report jsonb NOT NULL
      );
      CREATE INDEX instances_seen ON instances (seen_at);`,
  },
];

/** A process that is at work, and the groups of leases that it wants. */
export type Peer = {
  readonly id: string;
  readonly groups: readonly string[];
  /** Accounts that it can get nothing into a block with at present, as `CHAIN/ACCOUNT`. */
  readonly unfit: readonly string[];
  /** Whether it has more to do than it manages: it gets less. */
  readonly slow: boolean;
};

/** What a process is, for as long as it runs. */
export type InstanceFacts = {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly roles: readonly string[];
};

/** What it says of itself at every roll-call. What was added later is absent in reports of earlier versions. */
export type InstanceReport = {
  /** Share of the time since the last one that it was busy, from 0 to 1. */
  readonly busy: number;
  /** Processor time per time since the last one; 1 is one processor. */
  readonly cpu?: number | undefined;
  /** Jobs and requests under way, by role. */
  readonly work?: Readonly<Record<string, number>> | undefined;
  /** Whether it has been behind with its work for a while. */
  readonly slow?: boolean | undefined;
  readonly configuration?: InstanceConfiguration | undefined;
  readonly memoryBytes: number;
  /** Accounts that it can get nothing into a block with at present, as `CHAIN/ACCOUNT`. */
  readonly unfit: readonly string[];
  /** What it has given up until somebody mends something, in words. */
  readonly halted: readonly string[];
  /** How far it has read the chains that it reads. */
  readonly chains: readonly Readonly<Record<string, string>>[];
};

/** Which configuration a process goes by; equal fingerprints are equal configurations. */
type InstanceConfiguration = z.output<typeof configurationSchema>;

export type InstanceRow = InstanceFacts & {
  readonly startedAt: Date;
  readonly seenAt: Date;
  /** Undefined unless it has ended in order. */
  readonly stoppedAt: Date | undefined;
  readonly drainAskedBy: string | undefined;
  /** Whether it has been heard of within two of the times that leases last. */
  readonly isThere: boolean;
  readonly report: InstanceReport;
};

/** The list of processes, from the view of one of them. */
export type InstanceRoll = {
  /**
   * Says that this one is there, and answers who is, itself first. Throws `database-replaced` when it had said so before and
   * is not known any more.
   */
  call(groups: readonly string[]): Promise<readonly Peer[]>;
  /** Says that this one has ended in order. */
  leave(): Promise<void>;
  /** The newest first; those that were last seen more than a week ago are forgotten. */
  list(): Promise<InstanceRow[]>;
  /** Asks one to give up its work; false when there is none of this id at work. */
  askToDrain(id: string, by: string): Promise<boolean>;
};

const configurationSchema = z.object({
  fingerprint: z.string(),
  shared: z.string(),
  loadedAt: z.iso.datetime(),
  waiting: z.array(z.string()),
});

/** Of another version each part may be missing or be something else; the others still count. */
const reportSchema = z.object({
  busy: z.number().catch(0),
  cpu: z.number().optional().catch(undefined),
  work: z.record(z.string(), z.number()).optional().catch(undefined),
  slow: z.boolean().optional().catch(undefined),
  configuration: configurationSchema.optional().catch(undefined),
  memoryBytes: z.int().catch(0),
  unfit: z.array(z.string()).catch([]),
  halted: z.array(z.string()).catch([]),
  chains: z.array(z.record(z.string(), z.string()).catch({})).catch([]),
});
const emptyReport: InstanceReport = { busy: 0, memoryBytes: 0, unfit: [], halted: [], chains: [] };

const keptDays = 7;
/** Of another version it may say something else. */
const namesOf = (unfit: unknown): string[] => z.array(z.string()).catch([]).parse(unfit);

export function createInstanceRoll(deps: {
  db: Db;
  facts: InstanceFacts;
  /** How long a lease lasts, in milliseconds: after two of them a silent process counts as gone. */
  ms: number;
  report(): InstanceReport;
  /** Called once, with who asked for it. */
  onDrain(by: string): void;
}): InstanceRoll {
  const { db, facts, ms } = deps;
  let draining = false;
  let isKnown = false;

  return {
    async call(groups) {
      const rows = await db.query<PeerRow>(
        `WITH me AS (
           INSERT INTO instances (id, name, host, pid, version, roles, groups, started_at, seen_at, report)
           SELECT $1, $2, $3, $4, $5, $6, $7, clock_timestamp(), clock_timestamp(), $8
           WHERE NOT $10 OR EXISTS (SELECT 1 FROM instances WHERE id = $1)
           ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp(), groups = $7, report = $8
           RETURNING id, groups, report->'unfit' AS unfit, report->'slow' AS slow, drain_asked_by)
         SELECT * FROM me UNION ALL
         (SELECT id, groups, report->'unfit', report->'slow', NULL FROM instances
          WHERE id <> $1 AND stopped_at IS NULL AND drain_asked_by IS NULL
            AND seen_at > clock_timestamp() - $9 * interval '1 millisecond' ORDER BY id)`,
        [
          ...[facts.id, facts.name, facts.host, facts.pid, facts.version, facts.roles, groups],
          ...[toJson(deps.report()), ms, isKnown],
        ],
      );
      const [me] = rows;
      if (me?.id !== facts.id) {
        throw new LockstepError(
          "database-replaced",
          "the database does not know this process any more: another was put in its place",
        );
      }
      isKnown = true;
      if (!draining && me?.drain_asked_by != null) {
        draining = true;
        deps.onDrain(me.drain_asked_by);
      }
      return rows.map(({ id, groups: wanted, unfit, slow }) => {
        return { id, groups: wanted, unfit: namesOf(unfit), slow: slow === true };
      });
    },
    async leave() {
      await db.query("UPDATE instances SET stopped_at = clock_timestamp(), groups = '{}' WHERE id = $1", [facts.id]);
      await db.query("DELETE FROM instances WHERE seen_at < clock_timestamp() - $1 * interval '1 day'", [keptDays]);
    },
    async list() {
      const rows = await db.query<Row>(
        `SELECT *, stopped_at IS NULL AND seen_at > clock_timestamp() - 2 * $1 * interval '1 millisecond' AS there
         FROM instances WHERE seen_at > clock_timestamp() - $2 * interval '1 day' ORDER BY started_at DESC, id`,
        [ms, keptDays],
      );
      return rows.map(toInstance);
    },
    async askToDrain(id, by) {
      const rows = await db.query(
        `WITH asked AS (
           UPDATE instances SET drain_asked_by = coalesce(drain_asked_by, $2)
           WHERE id = $1 AND stopped_at IS NULL RETURNING id)
         SELECT pg_notify($3, id) FROM asked`,
        [id, by, leasesChannel],
      );
      return rows.length > 0;
    },
  };
}

type PeerRow = Pick<Peer, "id" | "groups"> & { unfit: unknown; slow: unknown; drain_asked_by: string | null };

type Row = InstanceFacts & {
  started_at: Date;
  seen_at: Date;
  stopped_at: Date | null;
  drain_asked_by: string | null;
  there: boolean;
  report: unknown;
};

const toInstance = (row: Row): InstanceRow => ({
  ...{ id: row.id, name: row.name, host: row.host, pid: row.pid, version: row.version, roles: row.roles },
  ...{ startedAt: row.started_at, seenAt: row.seen_at, isThere: row.there },
  stoppedAt: row.stopped_at ?? undefined,
  drainAskedBy: row.drain_asked_by ?? undefined,
  report: reportSchema.catch(emptyReport as z.output<typeof reportSchema>).parse(row.report),
});
