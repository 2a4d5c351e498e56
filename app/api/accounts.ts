import type { z } from "zod";
import type { RunningSender } from "#core/sender/createSender.ts";
import { isLowOn } from "#core/sender/metrics.ts";
import type { accountSchema } from "./chainRoutes.ts";

type Account = z.output<typeof accountSchema>;

/** The accounts that send on each chain. */
export async function readAccounts(sender: Pick<RunningSender, "status" | "stuck">): Promise<Map<string, Account[]>> {
  const stuck = await sender.stuck();
  const byChain = Map.groupBy(sender.status(), ({ chain }) => chain);
  return new Map(
    [...byChain].map(([chain, all]) => [
      chain,
      all.map((status): Account => {
        const { account, state, open, oldestWaitingMs, balance, lowBelow, error } = status;
        const held = stuck.find((each) => each.chain === chain && each.account === account);
        const low = isLowOn(status);
        return {
          ...{ account, state, open },
          ...(oldestWaitingMs !== undefined && { waitingSeconds: oldestWaitingMs / 1_000 }),
          ...(balance !== undefined && { balance }),
          ...(low !== undefined && { low }),
          ...(lowBelow !== undefined && { lowBelow }),
          ...(held && { stuck: stuckView(held) }),
          ...(error && { error: { code: error.code, message: error.message } }),
        };
      }),
    ]),
  );
}

type Stuck = Awaited<ReturnType<RunningSender["stuck"]>>[number];

const stuckView = ({ intent, kind, ageMs, reason }: Stuck): Account["stuck"] => ({
  ...{ intent, kind, seconds: ageMs / 1_000 },
  ...(reason !== undefined && { reason }),
});
