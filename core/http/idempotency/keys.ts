import { randomUUID } from "node:crypto";
import type { Db } from "../../db/db.ts";
import type { Clock } from "../../kernel/clock.ts";
import { gather, togetherOrAlone } from "../../kernel/gather.ts";
import { startLoop } from "../../kernel/loop.ts";
import type { Sealer } from "../../kernel/seal.ts";
import type { Log } from "../../observe/log.ts";
import type { Once } from "./once.ts";
import {
  type AnswerRow,
  type ClaimRow,
  claimKeys,
  type KeyRow,
  keepAnswers,
  releaseKey,
  renewLeases,
  sweepKeys,
} from "./rows.ts";
import { answerContext } from "./tables.ts";

/** A request as its sender named it. */
export type Keyed = {
  readonly caller: string;
  readonly key: string;
  /** SHA-256 of what it asks for. */
  readonly fingerprint: Buffer;
};

type KeptAnswer = { readonly status: number; readonly body: string };

/** How a request with a key stands: to be run, answered before, another one, or under way elsewhere. */
type Claim =
  | { readonly state: "mine"; readonly holder: string; readonly once: Once }
  | { readonly state: "answered"; readonly answer: KeptAnswer }
  | { readonly state: "reused" }
  | { readonly state: "busy"; readonly retryAfterMs: number };

export type IdempotencyKeys = {
  claim(request: Keyed): Promise<Claim>;
  /** Keeps the answer of a run and ends it; resolves with what was kept, by another run where that was quicker. */
  keep(request: Keyed, run: Extract<Claim, { state: "mine" }>, answer: KeptAnswer): Promise<KeptAnswer>;
  /** Ends a run without an answer. `forget`: nothing has happened, and the key is as if it had never been used. */
  release(run: Extract<Claim, { state: "mine" }>, forget: boolean): Promise<void>;
  /** Renews the leases of runs that go on, and deletes what has expired, until it is stopped. */
  start(): void;
  stop(): Promise<void>;
};

type Deps = {
  db: Db;
  sealer: Sealer;
  log: Log;
  clock: Clock;
  /** How long a run whose process has died keeps others from running, in milliseconds. */
  leaseMs?: number;
  /** How long answers are kept, in milliseconds. */
  keptMs?: number;
};

const mostAtOnce = 500;
const sweepMs = 600_000;
const sweptAtOnce = 1_000;
const dayMs = 86_400_000;
/** What is asked of one who comes while another run began in the same moment. */
const momentMs = 1_000;

/** Keys of requests and their answers, in the database; those that come at once share a statement. */
export function createIdempotencyKeys(deps: Deps): IdempotencyKeys {
  const { db, sealer, log, clock, leaseMs = 15_000, keptMs = dayMs } = deps;
  const running = new Set<string>();
  const loops: { stop(): Promise<void> }[] = [];
  const contextOf = ({ caller, key }: Pick<Keyed, "caller" | "key">) => answerContext(caller, key);

  /** Of several with one key in a round the first is asked for, and the others come while it runs. */
  async function claimAll(rows: readonly ClaimRow[]): Promise<(KeyRow | "later" | undefined)[]> {
    const first = new Map(rows.toReversed().map((row) => [JSON.stringify([row.caller, row.key]), row]));
    const asked = [...first.values()];
    const found = await claimKeys(db, asked, { leaseMs, keptMs });
    const byRow = new Map(asked.map((row, index) => [row, found[index]]));
    return rows.map((row) => (byRow.has(row) ? byRow.get(row) : "later"));
  }

  const claimed = gather(togetherOrAlone(claimAll), mostAtOnce);
  const kept = gather(
    togetherOrAlone((rows: readonly AnswerRow[]) => keepAnswers(db, rows)),
    mostAtOnce,
  );
  const opened = (request: Keyed, status: number, answer: Buffer): KeptAnswer => ({
    status,
    body: sealer.open(answer, contextOf(request)).toString(),
  });

  return {
    async claim(request) {
      const { caller, key, fingerprint } = request;
      const mine = { caller, key, fingerprint, seed: randomUUID(), holder: randomUUID() };
      const row = await claimed(mine);
      if (row === undefined || row === "later") return { state: "busy", retryAfterMs: momentMs };
      if (!row.fingerprint.equals(fingerprint)) return { state: "reused" };
      if (row.status !== null && row.answer) {
        return { state: "answered", answer: opened(request, row.status, row.answer) };
      }
      if (row.holder !== mine.holder) return { state: "busy", retryAfterMs: Math.max(row.left, momentMs) };
      running.add(mine.holder);
      return { state: "mine", holder: mine.holder, once: { id: row.seed, again: row.seed !== mine.seed } };
    },
    async keep(request, { holder, once }, { status, body }) {
      const { caller, key } = request;
      const answer = sealer.seal(Buffer.from(body), contextOf(request));
      try {
        const row = await kept({ caller, key, seed: once.id, status, answer });
        return row ? opened(request, row.status, row.answer) : { status, body };
      } finally {
        running.delete(holder);
      }
    },
    async release({ holder, once }, forget) {
      running.delete(holder);
      // What an earlier run may still do has to be found under the key.
      await releaseKey(db, holder, forget && !once.again);
    },
    start() {
      const onError = (error: unknown) => log.warn({ err: error }, "idempotency keys could not be kept up");
      const renew = async () => {
        if (running.size > 0) await renewLeases(db, [...running], leaseMs);
        return "idle" as const;
      };
      const sweep = async () => ((await sweepKeys(db, sweptAtOnce)) ? "continue" : "idle");
      loops.push(startLoop({ step: renew, clock, idleMs: leaseMs / 3, onError }));
      loops.push(startLoop({ step: sweep, clock, idleMs: sweepMs, onError }));
    },
    async stop() {
      await Promise.all(loops.splice(0).map((loop) => loop.stop()));
    },
  };
}
