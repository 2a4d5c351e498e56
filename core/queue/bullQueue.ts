import { type Job as BullJob, UnrecoverableError, type WorkerOptions } from "bullmq";
import { isLockstepError, isRetryable, LockstepError } from "../kernel/errors.ts";
import type { Json } from "../kernel/json.ts";
import type { Log } from "../observe/log.ts";
import type { Consumer, JobEnvelope, Producer, QueueBackend } from "./backend.ts";
import { createPostgresBackend } from "./postgres.ts";
import type { Job, JobCounts, JobHandler, Queue } from "./queue.ts";
import { createRedisBackend } from "./redis.ts";

export type QueueDeps = {
  readonly log: Log;
  /** Keeps services that share a Redis or a database apart. */
  readonly prefix?: string;
  /** After this long without a sign of life a worker's jobs are given to another, in milliseconds. */
  readonly stalledMs?: number;
  /** Delays before the second and at most before a further attempt, in milliseconds; they double in between. */
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number };
} & ({ readonly redisUrl: string } | { readonly connectionString: string });

const defaultBackoff = { firstMs: 500, maxMs: 120_000 };
const addedAtOnce = 1_000;
const addedSingly = 4;
/** Milliseconds in which a queue that is there answers. */
const answerMs = 2_000;
/** Beyond it the connections that listen would use up the PostgreSQL backend's pool. */
const maxHandlers = 30;
/** A retryable failure is retried until it succeeds; what should end says so by its error. */
const endless = 2 ** 31 - 1;

/**
 * The work queue on BullMQ, with one queue per job name, so that one kind of work never waits behind another and every
 * process works on just what it knows. All but `close` throw `queue-unreachable`; `enqueue` may then have added
 * some of the jobs.
 */
export function createQueue(deps: QueueDeps): Queue {
  const { log, prefix = "lockstep", stalledMs = 30_000, backoff = defaultBackoff } = deps;
  const backend: QueueBackend =
    "redisUrl" in deps
      ? createRedisBackend({ url: deps.redisUrl, prefix, log })
      : createPostgresBackend({ connectionString: deps.connectionString, prefix, log });
  const producers = new Map<string, Producer>();
  const consumers: Consumer[] = [];
  const running = new Set<Promise<void>>();
  let closing: Promise<void> | undefined;
  const onError = (error: Error) => log.warn({ err: error }, "queue connection failed");

  const producer = (name: string): Producer => {
    const known = producers.get(name);
    if (known) return known;
    const made = backend.producer(name, { defaultJobOptions: { removeOnComplete: true, removeOnFail: true } });
    made.on("error", onError);
    producers.set(name, made);
    return made;
  };

  const workerOptions = (concurrency: number): Omit<WorkerOptions, "connection"> => ({
    concurrency,
    lockDuration: stalledMs,
    stalledInterval: stalledMs,
    maxStalledCount: endless,
    settings: { backoffStrategy: (attempts) => delayAfter(attempts, backoff) },
  });

  const run = async (job: BullJob<JobEnvelope>, handler: JobHandler): Promise<void> => {
    const work = handle(job, handler, log);
    running.add(work);
    await work.finally(() => running.delete(work));
  };

  const ask = async (): Promise<void> => {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error(`no answer within ${answerMs} ms`)), answerMs);
    try {
      await Promise.race([backend.ask(), late.promise]);
    } catch (error) {
      throw unreachable(error);
    } finally {
      clearTimeout(timer);
    }
  };

  const closeAll = async (): Promise<void> => {
    for (const consumer of consumers) void consumer.pause(true).catch(onError);
    // One that is away would be waited for until it is back.
    const isAway = await ask().then(
      () => false,
      () => true,
    );
    while (isAway && running.size > 0) await Promise.allSettled(running);
    await Promise.all(consumers.map((consumer) => consumer.close(isAway)));
    await Promise.all([...producers.values()].map((each) => each.close()));
    await backend.close();
  };
  const assertOpen = () => {
    if (closing) throw new LockstepError("shutting-down", "The work queue is closed");
  };

  return {
    async enqueue(jobs) {
      assertOpen();
      try {
        await backend.ready();
        for (const [name, group] of Map.groupBy(jobs, (job) => job.name)) {
          await add(producer(name), group);
        }
      } catch (error) {
        throw unreachable(error);
      }
    },
    async work(handlers, { concurrency }) {
      assertOpen();
      const entries = Object.entries(handlers);
      if (consumers.length + entries.length > maxHandlers) throw new RangeError(`at most ${maxHandlers} kinds of jobs`);
      await backend.ready().catch((error: unknown) => {
        throw unreachable(error);
      });
      const made = entries.map(([name, handler]) => {
        const consumer = backend.consumer(name, (job) => run(job, handler), workerOptions(concurrency));
        consumer.on("error", onError);
        return consumer;
      });
      consumers.push(...made);
      await Promise.all(made.map((consumer) => consumer.waitUntilReady()));
    },
    async counts(names) {
      assertOpen();
      try {
        await backend.ready();
        const all = names.map(async (name) => [name, await countJobs(producer(name))] as const);
        return new Map(await Promise.all(all));
      } catch (error) {
        throw unreachable(error);
      }
    },
    async assertAnswers() {
      assertOpen();
      await ask();
    },
    close() {
      closing ??= closeAll();
      return closing;
    },
  };
}

const unreachable = (cause: unknown) =>
  isLockstepError(cause, "config-invalid")
    ? cause
    : new LockstepError("queue-unreachable", "The work queue did not answer as it should", { cause });

/** PostgreSQL adds many at once by way of temporary tables, which takes longer than a few jobs one by one. */
async function add(producer: Producer, jobs: readonly Job[]): Promise<void> {
  if (jobs.length <= addedSingly) {
    for (const { name, data, opts } of jobs.map(toBull)) await producer.add(name, data, opts);
    return;
  }
  for (let at = 0; at < jobs.length; at += addedAtOnce) {
    await producer.addBulk(jobs.slice(at, at + addedAtOnce).map(toBull));
  }
}

async function countJobs(producer: Producer): Promise<JobCounts> {
  const { waiting = 0, active = 0, delayed = 0 } = await producer.getJobCounts("waiting", "active", "delayed");
  return { waiting, active, delayed };
}

/** Ids may not look like a number nor contain a colon; encoding keeps different ids different. */
const toBull = ({ id, name, data }: Job) => ({
  name,
  data: { payload: data },
  opts: { jobId: `j-${encodeURIComponent(id)}`, attempts: endless, backoff: { type: "custom" } },
});

/** Up to half of it is chance, so that what failed together is not retried together. */
function delayAfter(attempts: number, { firstMs, maxMs }: { firstMs: number; maxMs: number }): number {
  const full = Math.min(firstMs * 2 ** Math.min(attempts - 1, 30), maxMs);
  return Math.round(full * (0.5 + Math.random() / 2));
}

async function handle(job: BullJob<JobEnvelope>, handler: JobHandler, log: Log): Promise<void> {
  try {
    await handler(payloadOf(job.data));
  } catch (error) {
    const context = { err: error, job: job.name, job_id: job.id, attempt: job.attemptsMade + 1 };
    if (isRetryable(error)) {
      log.warn(context, "job failed, trying again");
      // BullMQ stores what it is thrown; the log has the error.
      throw new Error("retryable");
    }
    log.error(context, "job failed for good");
    throw new UnrecoverableError("not retryable");
  }
}

/** Whoever reaches the queue may have put anything there. */
const payloadOf = (data: unknown): Json =>
  typeof data === "object" && data !== null && "payload" in data ? (data.payload as Json) : null;
