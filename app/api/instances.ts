import type { z } from "zod";
import type { Db } from "#core/db/db.ts";
import { serve } from "#core/http/serve.ts";
import type { HttpServer } from "#core/http/server.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { InstanceRoll, InstanceRow } from "#core/lease/instances.ts";
import { type LeaseRow, listLeases as readLeases } from "#core/lease/tables.ts";
import { drainInstance, type instanceSchema, listInstances, listLeases } from "./instanceRoutes.ts";

type InstanceView = z.output<typeof instanceSchema>;

/** Serves `/v1/instances` and `/v1/leases`. */
export function createInstanceRoutes(deps: {
  db: Db;
  roll: Pick<InstanceRoll, "list" | "askToDrain">;
}): (app: HttpServer) => Promise<void> {
  const { db, roll } = deps;
  async function views(): Promise<InstanceView[]> {
    const [rows, leases] = await Promise.all([roll.list(), readLeases(db)]);
    return rows.map((row) => viewOf(row, leases));
  }
  return async (app) => {
    serve(app, listInstances, async () => ({ instances: await views() }));
    serve(app, drainInstance, async ({ params: { id }, caller }) => {
      const asked = await roll.askToDrain(id, caller?.id ?? "nobody known");
      const found = asked && (await views()).find((each) => each.id === id);
      if (!found) throw new LockstepError("not-found", "there is no instance of this id at work");
      return found;
    });
    serve(app, listLeases, async () => ({ leases: (await readLeases(db)).map(leaseView) }));
  };
}

/** What has become of a process, as far as the others can tell. */
export function stateOf({ stoppedAt, isThere, drainAskedBy }: InstanceRow): InstanceView["state"] {
  if (stoppedAt !== undefined) return "stopped";
  if (!isThere) return "silent";
  return drainAskedBy === undefined ? "working" : "draining";
}

function viewOf(row: InstanceRow, leases: readonly LeaseRow[]): InstanceView {
  const { id, name, host, pid, version, roles, startedAt, seenAt, drainAskedBy, report } = row;
  const { busy, cpu, work, slow, memoryBytes, halted, unfit, configuration } = report;
  const reasons = [...halted, ...unfit.map((account) => `nothing of ${account} gets into a block`)];
  return {
    ...{ id, name, host, pid, version, roles: [...roles], state: stateOf(row), busy, memoryBytes, halted: [...halted] },
    ...{ startedAt: startedAt.toISOString(), seenAt: seenAt.toISOString() },
    ...(drainAskedBy !== undefined && { drainAskedBy }),
    load: { eventLoop: busy, slow: slow ?? false, ...(cpu !== undefined && { cpu }), work: { ...work } },
    health: { ok: row.isThere && reasons.length === 0, reasons },
    ...(configuration && { configuration }),
    leases: leases
      .filter(({ holder }) => holder === id)
      .map(({ name: lease, term, since }) => ({ name: lease, term, since: since.toISOString() })),
  };
}

const leaseView = ({ name, term, holder, since, until }: LeaseRow) => ({
  ...{ name, term, since: since.toISOString(), until: until.toISOString() },
  ...(holder !== undefined && { holder }),
});
