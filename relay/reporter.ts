import type { Db } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Log } from "#core/observe/log.ts";
import type { IntentRequest, Sender } from "#core/sender/sender.ts";
import { type Evidence, markReported, newestEvidence } from "./evidence.ts";
import { failureSeen, laneSubject, reportKind } from "./intents.ts";
import { type LaneEnds, type Lanes, laneName } from "./lane.ts";
import { encodeReport } from "./protocol/report.ts";
import { nextAttempt } from "./ramp.ts";
import type { ValidatorBook, ValidatorEpoch } from "./validators.ts";

const lookEveryMs = 5_000;

/**
 * Reports validators that signed two histories to the lane's destination, in every epoch that counts them there. A report
 * that ended without effect is made again, ever more seldom, for as long as the validator counts.
 */
export function createReporter(deps: {
  db: Db;
  sender: Sender;
  lanes: Lanes;
  book: ValidatorBook;
  clock: Clock;
  log: Log;
  /** Managed account that pays. */
  account: string;
}) {
  const { db, sender, lanes, book, clock, log, account } = deps;
  /** Attempts that had failed when a report was last looked at, and when it is due again; by its first intent's id. */
  const failed = new Map<string, { readonly attempts: number; readonly dueAt: number }>();
  let loop: Loop | undefined;

  /** The intent that is to be made now; undefined while one is on its way, or has done its work, or none is due. */
  async function nextIntent(lane: LaneEnds, evidence: Evidence, epoch: ValidatorEpoch) {
    const key = reportId(evidence, epoch, 1);
    const before = failed.get(key) ?? { attempts: 0, dueAt: 0 };
    let attempts = before.attempts;
    for (; ; attempts++) {
      const status = await sender.find(db, reportId(evidence, epoch, attempts + 1));
      if (!status && attempts > before.attempts) break;
      if (!status && before.dueAt > clock.now()) return undefined;
      if (!status) return reportIntent(lane, evidence, epoch, account, attempts + 1);
      if (!failureSeen(status)) return undefined;
    }
    const next = nextAttempt("delivery-failed", attempts);
    const place = { validator: evidence.validator, lane: laneName(lane), attempts };
    if (next === "dead") log.error(place, "equivocation could not be reported; an operator has to");
    failed.set(key, { attempts, dueAt: next === "dead" ? Number.POSITIVE_INFINITY : clock.now() + next.delayMs });
    return undefined;
  }

  async function report(evidence: Evidence): Promise<void> {
    const lane = lanes.all.find((each) => laneName(each) === laneName(evidence));
    if (!lane) return;
    const epochs = (await book.read()).valid(lane).filter(({ byAddress }) => byAddress(evidence.validator));
    const wanted = await Promise.all(epochs.map((epoch) => nextIntent(lane, evidence, epoch)));
    const intents = wanted.flatMap((intent) => intent ?? []);
    if (intents.length === 0) return;
    await db.tx(async (tx) => {
      await sender.submit(tx, intents);
      await markReported(tx, evidence, new Date(clock.now()));
    });
    const ids = intents.map(({ id }) => id);
    log.warn({ validator: evidence.validator, lane: laneName(lane), intents: ids }, "equivocation is reported");
  }

  async function step(): Promise<"idle"> {
    for (const evidence of await newestEvidence(db)) await report(evidence);
    return "idle";
  }

  return {
    /** Makes the reports that are due. */
    look: step,
    wake: () => loop?.wake(),
    start() {
      loop ??= startLoop({
        ...{ step, clock, idleMs: lookEveryMs },
        onError: (error, { failures }) => log.warn({ err: error, failures }, "report failed, trying again"),
      });
    },
    async stop(): Promise<void> {
      await loop?.stop();
      loop = undefined;
    },
  };
}

/** Two recoveries, and the set hashed and walked. */
const reportGas = { base: 250_000n, validator: 5_000n };

function reportId(evidence: Evidence, { epoch }: ValidatorEpoch, attempt: number): string {
  const { generation, validator } = evidence;
  const first = `${laneSubject(evidence)}-report-${generation}-${validator}-${epoch}`;
  return attempt === 1 ? first : `${first}-${attempt}`;
}

function reportIntent(
  lane: LaneEnds,
  evidence: Evidence,
  epoch: ValidatorEpoch,
  account: string,
  attempt: number,
): IntentRequest {
  const { generation, nonce, first, second } = evidence;
  const place = {
    ...{ originChainId: lane.from.chain.chainId, originGateway: lane.from.gateway, generation, nonce },
  };
  const data = encodeReport({
    first: { ...place, epoch: first.epoch, accumulator: first.accumulator },
    firstSignature: first.signature,
    second: { ...place, epoch: second.epoch, accumulator: second.accumulator },
    secondSignature: second.signature,
    ...{ epoch: epoch.epoch, set: epoch.set },
  });
  return {
    id: reportId(evidence, epoch, attempt),
    ...{ chain: lane.destination, account, kind: reportKind, subject: laneSubject(evidence) },
    call: { to: lane.to.gateway, data, value: 0n },
    gas: reportGas.base + reportGas.validator * BigInt(epoch.set.validators.length),
    // Somebody else may have reported it meanwhile.
    dryRun: true,
  };
}
