import type { Db } from "#core/db/db.ts";
import type { Sender } from "#core/sender/sender.ts";
import { createGatewayReader } from "./gateway.ts";
import { deferralIntent, failureSeen } from "./intents.ts";
import type { LaneEnds } from "./lane.ts";
import type { OpenMessage } from "./openMessage.ts";
import type { Waits } from "./waits.ts";

/** Has messages recorded as failed at their destination, so that a lane goes on without them. */
export type Deferral = {
  /** Which of the messages are not deferred yet. */
  missing(lane: LaneEnds, rows: readonly OpenMessage[]): Promise<OpenMessage[]>;
  /** Asks for it, and notes that the lane waits for it. */
  ask(lane: LaneEnds, rows: readonly OpenMessage[], account: string): Promise<void>;
};

export function createDeferral({ db, sender, waits }: { db: Db; sender: Sender; waits: Waits }): Deferral {
  const onchainIds = (rows: readonly OpenMessage[]) => rows.flatMap(({ progress }) => progress.sent?.onchainId ?? []);

  return {
    async missing(lane, rows) {
      const reader = createGatewayReader(lane.to);
      const deferred = await Promise.all(onchainIds(rows).map((id) => reader.isDeferred(lane.from.chain.chainId, id)));
      return rows.filter((_, place) => !deferred[place]);
    },
    async ask(lane, rows, account) {
      const names = rows.map(({ nonce }) => nonce).join(", ");
      let problem = "";
      for (let attempt = 1; ; attempt++) {
        const intent = deferralIntent(lane, onchainIds(rows), attempt, account);
        const status = await sender.find(db, intent.id);
        const failure = failureSeen(status);
        if (failure) {
          problem = `; the last attempt failed: ${failure.detail}`;
          continue;
        }
        const isDue = attempt === 1 || !(await waits.holds(lane, "deferring"));
        if (!status && isDue) await db.tx((tx) => sender.submit(tx, [intent]));
        return waits.note(lane, "deferring", `${account} has messages ${names} deferred${problem}`);
      }
    },
  };
}
