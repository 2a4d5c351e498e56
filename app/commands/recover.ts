import { assertNobodyConnected } from "#core/backup/restore.ts";
import type { Env } from "#core/config/env.ts";
import { loadConfig, parseEnv } from "#core/config/load.ts";
import { type ServiceConfig, serviceConfigSchema } from "#core/config/service.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { createLog, type Level, type Log } from "#core/observe/log.ts";
import { openServiceDatabase } from "../backup/open.ts";
import { composeService } from "../compose.ts";
import type { Service } from "../lifecycle.ts";
import { createRecoveryRun, type RecoveryRun } from "../recovery.ts";
import { askedToStop } from "../signals.ts";
import { print } from "../terminal.ts";
import { readOptions } from "./options.ts";
import { recoverCommand } from "./specs.ts";

/** Something is left that waits for a timelock or for a secret: starting again later helps. */
const exitLeft = 1;
const lookMs = 250;

/**
 * Finds the open locks of the managed accounts on the chains alone and drives them to their end: with a database that is
 * empty as well as with one that has its swaps, which it leaves alone. Ends with 0 when nothing is left.
 */
export async function runRecover(args: readonly string[]): Promise<number> {
  const values = readOptions(recoverCommand, args);
  const dryRun = values["dry-run"];
  // Reads the chains and sends; a dry run only reads. The port of a service that may be running is left to it.
  const roles = dryRun ? (["indexer"] as const) : (["indexer", "swapper"] as const);
  const config: ServiceConfig = { ...loadConfig(values.config, serviceConfigSchema), roles: [...roles] };
  const env = parseEnv();
  const log = createLog({ level: levelOf(env, dryRun), name: "recover" });
  const ending = new AbortController();
  void askedToStop().then(() => ending.abort());
  await assertAlone(config, env, log);
  const service = await composeService(config, env, { log, listens: false });
  const run = createRecoveryRun({ service, dryRun, say: values.json ? () => undefined : print });
  await service.start();
  const halted = service.halted.then((error) => Promise.reject(error));
  try {
    await Promise.race([follow(run, service, { ...values, dryRun, signal: ending.signal }), halted]);
  } finally {
    ending.abort();
    await service.stop();
  }
  if (values.json) print(run.summary());
  return dryRun || run.left() === 0 ? 0 : exitLeft;
}

/** Beside a service that runs it would get none of the chains to read, or take them from it. Throws `database-in-use`. */
async function assertAlone(config: ServiceConfig, env: Env, log: Log): Promise<void> {
  // The embedded database belongs to one process anyway.
  if (env.DATABASE_URL === undefined) return;
  const { db, close } = await openServiceDatabase(config, env, log);
  try {
    await assertNobodyConnected(db);
  } finally {
    await close();
  }
}

/** What a dry run finds is all that it has to say, unless somebody wants to know more or less than is usual. */
const levelOf = ({ LOCKSTEP_LOG_LEVEL: level }: Env, dryRun: boolean): Level =>
  dryRun && level === "info" ? "warn" : level;

type Until = { readonly dryRun: boolean; readonly once: boolean; readonly signal: AbortSignal };

async function follow(run: RecoveryRun, service: Service, { dryRun, once, signal }: Until): Promise<void> {
  const caughtUp = headsOf(service);
  while (!signal.aborted) {
    if (caughtUp()) {
      await run.look();
      if (dryRun || run.left() === 0 || (once && run.idle())) return;
    }
    await systemClock.sleep(lookMs);
  }
}

/** True once every chain is read up to the head that it had when it was first seen. */
function headsOf(service: Service): () => boolean {
  const wanted = new Map<string, bigint>();
  return () =>
    service.indexed().every(({ chain, head, indexed, state, error }) => {
      if (state === "halted" && error) throw error;
      const goal = wanted.get(chain) ?? head;
      if (goal === undefined) return false;
      wanted.set(chain, goal);
      return indexed !== undefined && indexed >= goal;
    });
}
