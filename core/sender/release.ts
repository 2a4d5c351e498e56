import { isLockstepError } from "../kernel/errors.ts";
import type { LaneContext } from "./context.ts";
import { type Flight, isLate, reasonToVoid, type Voiding } from "./flight.ts";
import { saveReleased } from "./rows.ts";
import type { IntentRequest } from "./sender.ts";

/** Whether a flight may be sent for the first time: it may, its guard could not decide, or why its nonce is voided. */
export type Verdict = "go" | "later" | Voiding;

/** The last checks before the first byte leaves. */
export type Release = {
  /**
   * By nonce, of those of which no byte can have left: their guards are asked at once, then it is noted durably that bytes
   * of those may leave which may go.
   */
  judge(flights: readonly Flight[]): Promise<ReadonlyMap<number, Verdict>>;
  /** No byte of these has left, and none will before they are judged again; nothing of those that had left before. */
  takeBack(flights: readonly Flight[]): Promise<void>;
};

/**
 * Whether a restart must know that bytes of it may have left: a guard would be asked again, a secret is out, or its time
 * would be over and what is in the mempool voided.
 */
export const isNoted = (guards: LaneContext["guards"], { kind, call, notAfter }: IntentRequest): boolean =>
  guards[kind] !== undefined || "builder" in call || notAfter !== undefined;

/** A call that is not known to have left, as opposed to a void, and to what another process or nonce may have sent. */
const isFirst = (flight: Flight) => flight.attempts.at(-1)?.kind === "call" && !flight.released;

export function createRelease({ db, guards, clock, log, about, waits }: LaneContext): Release {
  const note = async (flights: readonly Flight[], released: boolean): Promise<void> => {
    const ids = flights.filter(({ intent }) => isNoted(guards, intent)).map(({ intent }) => intent.id);
    if (ids.length > 0) await db.tx((tx) => saveReleased(tx, ids, released));
  };

  async function ask(flight: Flight): Promise<Verdict> {
    const { intent } = flight;
    if (isLate(intent, clock.now())) return reasonToVoid(flight, clock.now());
    const guard = guards[intent.kind];
    if (guard === undefined) return "go";
    try {
      const verdict = await guard({ id: intent.id, kind: intent.kind, subject: intent.subject });
      if (!verdict.send) return { reason: "refused", detail: verdict.detail };
      waits.clear(intent.id);
      return "go";
    } catch (error) {
      log.warn({ err: error, ...about(intent) }, "guard could not decide");
      const reason = isLockstepError(error) ? error.code : "it failed";
      waits.note(intent.id, { code: "guard-undecided", detail: `its last check could not be made: ${reason}` });
      return "later";
    }
  }

  return {
    async judge(flights) {
      const first = flights.filter(isFirst);
      const verdicts = new Map(
        await Promise.all(first.map(async (flight) => [flight.nonce, await ask(flight)] as const)),
      );
      await note(
        first.filter(({ nonce }) => verdicts.get(nonce) === "go"),
        true,
      );
      return verdicts;
    },
    takeBack: (flights) => note(flights.filter(isFirst), false),
  };
}
