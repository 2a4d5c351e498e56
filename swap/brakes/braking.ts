import type { KeyStore } from "#core/chain/keys.ts";
import type { ApprovalConfig } from "#core/config/approval.ts";
import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Redacted } from "#core/kernel/redacted.ts";
import type { Log } from "#core/observe/log.ts";
import type { SwapChains } from "../chains.ts";
import type { Hold } from "../nextAction.ts";
import type { Swap } from "../swap.ts";
import { createHaltRoutes } from "./api.ts";
import { createApprovalPolicy, nextLock } from "./approval.ts";
import type { Approver } from "./approver.ts";
import { createAsking } from "./asking.ts";
import { type Brakes, createBrakes } from "./brakes.ts";
import { createDecisions, type Decisions } from "./decisions.ts";
import { createHalts } from "./halts.ts";
import { createHookApprover } from "./hookApprover.ts";
import { createManualApprover } from "./manualApprover.ts";

/** Halts and approvals put together, as the swap context uses them. */
export type Braking = {
  readonly brakes: Brakes;
  readonly decisions: Decisions;
  /** Whether locks may have to wait for somebody. */
  readonly asksApproval: boolean;
  /** Why nothing more is locked for swaps, paused chains included. */
  holds(): Promise<(swap: Swap) => Hold | undefined>;
  /** The same for one swap whose lock is next; where an approval is missing it is asked for on the side. */
  holdAndAsk(swap: Swap): Promise<Hold | undefined>;
  plugin(app: HttpServer): Promise<void>;
  stop(): Promise<void>;
};

type Deps = {
  db: Db;
  store: EventStore;
  keyStore: Pick<KeyStore, "names">;
  chains: SwapChains;
  approval?: ApprovalConfig | undefined;
  /** What an approval hook knows the service by. */
  approvalSecret?: Redacted<Hex> | undefined;
  clock: Clock;
  log: Log;
};

/** What the sender's last checks need of it. */
export const createLastBrakes = ({ db, approval }: Pick<Deps, "db" | "approval">): Pick<Brakes, "refusal"> =>
  createBrakes({ db, policy: createApprovalPolicy(approval ?? { mode: "accept" }) });

export function createBraking(deps: Deps): Braking {
  const { chains, approval = { mode: "accept" } } = deps;
  const policy = createApprovalPolicy(approval);
  const brakes = createBrakes({ ...deps, policy });
  const decisions = createDecisions({ ...deps, policy });
  const approver = createApprover(deps);
  const asking = createAsking({ ...deps, approver, decisions });

  async function holds(): Promise<(swap: Swap) => Hold | undefined> {
    const held = await brakes.holds();
    return (swap) => {
      const { source, target } = swap.terms;
      if (chains.isPaused(source.chain, target.chain)) return { code: "chain-paused" };
      const hold = held(swap);
      const why = hold?.code === "awaiting-approval" ? asking.lastWords(swap.id, nextLock(swap)) : undefined;
      return hold && why !== undefined ? { ...hold, detail: `${hold.detail}: ${why}` } : hold;
    };
  }

  return {
    ...{ brakes, decisions, holds, asksApproval: policy.asks },
    async holdAndAsk(swap) {
      const hold = (await holds())(swap);
      if (hold?.code === "awaiting-approval") asking.ask(swap, nextLock(swap));
      return hold;
    },
    plugin: createHaltRoutes({ ...deps, halts: createHalts(deps) }),
    stop: asking.stop,
  };
}

function createApprover({ approval, approvalSecret: secret, clock, log }: Deps): Approver {
  if (!approval || !("url" in approval)) return createManualApprover();
  if (!secret) throw new LockstepError("internal", "an approval hook needs the secret that it shares");
  return createHookApprover({ ...approval, secret, clock, log });
}
