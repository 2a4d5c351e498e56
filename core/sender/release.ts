import { isLockstepError } from "../kernel/errors.ts";
import type { LaneContext } from "./context.ts";
import { type Flight, isLate, reasonToVoid, type Voiding } from "./flight.ts";
import { saveReleased } from "./rows.ts";

/** Whether a flight may be sent for the first time: it may, its guard could not decide, or why its nonce is voided. */
export type Verdict = "go" | "later" | Voiding;

/** The last checks before the first byte leaves. */
export type Release = {
  /** Guards of all the flights at once, then the durable note that bytes of those may leave which may go. */
  judge(flights: readonly Flight[]): Promise<readonly Verdict[]>;
  /** No byte of these has left, and none will before they are judged again. */
  takeBack(flights: readonly Flight[]): Promise<void>;
};

export function createRelease({ db, guards, clock, log, waits }: LaneContext): Release {
  /** Whether a restart must know that bytes may have left. */
  const isNoted = ({ intent }: Flight) => guards[intent.kind] !== undefined || "builder" in intent.call;
  const note = async (flights: readonly Flight[], released: boolean): Promise<void> => {
    const ids = flights.filter(isNoted).map(({ intent }) => intent.id);
    if (ids.length > 0) await saveReleased(db, ids, released);
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
      log.warn({ err: error, intent: intent.id }, "guard could not decide");
      const reason = isLockstepError(error) ? error.code : "it failed";
      waits.note(intent.id, { code: "guard-undecided", detail: `its last check could not be made: ${reason}` });
      return "later";
    }
  }

  return {
    async judge(flights) {
      const verdicts = await Promise.all(flights.map(ask));
      await note(
        flights.filter((_, index) => verdicts[index] === "go"),
        true,
      );
      return verdicts;
    },
    takeBack: (flights) => note(flights, false),
  };
}
