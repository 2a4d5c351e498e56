import type { IntentRequest } from "#core/sender/sender.ts";
import type { DeliveryWriter, PlannedDelivery } from "./delivery.ts";
import type { Base, DryRun, Revert } from "./dryRun.ts";

type Deps = { dryRun: DryRun; delivery: Pick<DeliveryWriter, "intentOf"> };

/**
 * The delivery as it passes a dry-run: as planned, or its longest part that does, whose other messages stay behind as
 * ids. A revert that no choice of messages would mend, or of the first message alone, is answered as it is.
 */
export function createNarrowing({ dryRun, delivery }: Deps) {
  return async (
    whole: PlannedDelivery,
    base: Base | undefined,
  ): Promise<{ planned: PlannedDelivery; intent: IntentRequest } | { revert: Revert }> => {
    const attempt = async (planned: PlannedDelivery) => {
      const intent = delivery.intentOf(planned);
      return { planned, intent, revert: await dryRun.deliver(whole.lane, intent, base) };
    };
    let { revert, ...best } = await attempt(whole);
    if (!revert) return best;
    let passing = 0;
    let failing = whole.batch.length;
    while (!revert.lane && failing - passing > 1) {
      const middle = Math.floor((passing + failing) / 2);
      const { revert: again, ...part } = await attempt({ ...whole, batch: whole.batch.slice(0, middle) });
      if (again) {
        failing = middle;
        revert = again;
      } else {
        passing = middle;
        best = part;
      }
    }
    return passing > 0 ? best : { revert };
  };
}
