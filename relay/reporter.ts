import type { Db } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Log } from "#core/observe/log.ts";
import type { IntentRequest, Sender } from "#core/sender/sender.ts";
import { type Evidence, markReported, unreportedEvidence } from "./evidence.ts";
import { type LaneEnds, type Lanes, laneName } from "./lane.ts";
import { encodeReport } from "./protocol/report.ts";
import type { ValidatorBook, ValidatorEpoch } from "./validators.ts";

const reportKind = "relay.report";

const lookEveryMs = 5_000;

/**
 * Reports validators that signed two histories to the lane's destination, in every epoch that counts them there. Once:
 * the intents and the note that they were made commit together.
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
  let loop: Loop | undefined;

  async function report(evidence: Evidence): Promise<void> {
    const lane = lanes.all.find((each) => laneName(each) === laneName(evidence));
    if (!lane) return;
    const epochs = (await book.read()).valid(lane).filter(({ byAddress }) => byAddress(evidence.validator));
    const intents = epochs.map((epoch) => reportIntent(lane, evidence, epoch, account));
    await db.tx(async (tx) => {
      await sender.submit(tx, intents);
      await markReported(tx, evidence, new Date(clock.now()));
    });
    const epochNumbers = epochs.map(({ epoch }) => epoch.toString());
    log.warn({ validator: evidence.validator, lane: laneName(lane), epochs: epochNumbers }, "equivocation is reported");
  }

  async function step(): Promise<"idle"> {
    for (const evidence of await unreportedEvidence(db)) await report(evidence);
    return "idle";
  }

  return {
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

function reportIntent(lane: LaneEnds, evidence: Evidence, epoch: ValidatorEpoch, account: string): IntentRequest {
  const { generation, nonce, validator, first, second } = evidence;
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
  const subject = `lane-${laneName(lane)}`;
  return {
    id: `${subject}-report-${generation}-${validator}-${epoch.epoch}`,
    ...{ chain: lane.destination, account, kind: reportKind, subject },
    call: { to: lane.to.gateway, data, value: 0n },
    gas: reportGas.base + reportGas.validator * BigInt(epoch.set.validators.length),
    // Somebody else may have reported it meanwhile.
    dryRun: true,
  };
}
