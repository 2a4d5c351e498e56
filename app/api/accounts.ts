import { z } from "zod";
import { uint } from "#core/kernel/codec.ts";
import type { RunningSender } from "#core/sender/createSender.ts";
import { isLowOn } from "#core/sender/metrics.ts";

export const accountSchema = z
  .object({
    account: z.string(),
    state: z
      .enum(["stopped", "running", "halted"])
      .meta({ description: "Whether this process sends with it; `halted`: for good, see `error`" }),
    open: z.number().int().meta({ description: "Transactions under way" }),
    waitingSeconds: z.number().optional().meta({ description: "How long the lowest of them has been in no block" }),
    balance: uint.optional().meta({ description: "Wei, when last asked" }),
    low: z.boolean().optional().meta({ description: "Whether that is less than the configuration wants" }),
    lowBelow: uint.optional(),
    stuck: z
      .object({ intent: z.string(), kind: z.string(), seconds: z.number(), reason: z.string().optional() })
      .optional()
      .meta({ description: "Its oldest intent in no block, where that is older than it should be" }),
    error: z.object({ code: z.string(), message: z.string() }).optional(),
  })
  .meta({ id: "ChainAccount" });

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
