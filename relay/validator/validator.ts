import { privateKeyToAccount } from "viem/accounts";
import type { Chain } from "#core/chain/chain.ts";
import type { ValidatorConfig } from "#core/config/validator.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Redacted } from "#core/kernel/redacted.ts";
import type { Log } from "#core/observe/log.ts";
import type { AttestRequest, HeaderRequest, WireAttestation, WireHeaderAttestation } from "../schemas.ts";
import type { AgreedChain } from "./agreement.ts";
import { createHeaderSigner, type HeaderSigner } from "./headerSigner.ts";
import { createOrigins, type Origin, type OwnLane } from "./origins.ts";
import { createPusher } from "./pusher.ts";
import { createValidatorServer, type ValidatorHealth } from "./server.ts";
import { type CheckpointSigner, createCheckpointSigner } from "./signer.ts";
import { createSigningStore, type SigningLane, type SigningStore } from "./signingStore.ts";

/**
 * One validator: follows the final blocks of its chains with endpoints of its own, signs the lanes' accumulators,
 * pushes the newest and signs others on request. It stops for good when what it signed contradicts a final block.
 */
export type Validator = {
  /** Opens the store and listens. Throws `data-folder-in-use` or `chain-replaced`; a halted one only answers so. */
  start(): Promise<{ url: string }>;
  stop(): Promise<void>;
  health(): ValidatorHealth;
};

export type ValidatorDeps = {
  readonly config: ValidatorConfig;
  readonly key: Redacted<Hex>;
  /** Per chain of the configuration one `Chain` for each of its endpoints. */
  readonly chains: Readonly<Record<string, readonly Chain[]>>;
  readonly clock: Clock;
  readonly log: Log;
};

type Running = {
  readonly store: SigningStore;
  readonly origins: readonly Origin[];
  readonly checkpoints: CheckpointSigner;
  readonly headers: HeaderSigner;
};

export function createValidator(deps: ValidatorDeps): Validator {
  const { config, clock } = deps;
  const log = deps.log.child({ module: "validator", validator: config.name });
  const account = toAccount(deps.key);
  const pusher = createPusher({ relayerUrl: config.relayerUrl, clock, log });
  const server = createValidatorServer({ listen: config.listen, name: config.name, attest, attestHeader, health, log });
  let running: Running;
  /** The accumulator last handed to the pusher, by lane. */
  const pushed = new Map<OwnLane, Hex>();
  let loops: Loop[] = [];
  let state: ValidatorHealth = { status: "starting" };

  function health(): ValidatorHealth {
    return state;
  }

  function halt(reason: string): void {
    state = { status: "halted", reason };
    log.error({ reason }, "validator is halted and signs nothing");
  }

  /** Follows one origin and pushes what has not been pushed since the start. */
  async function step(origin: Origin): Promise<"idle" | "fatal"> {
    if (state.status === "halted") return "fatal";
    await haltable(() => origin.follower.look());
    await Promise.all(origin.lanes.map(pushNewest));
    return "idle";
  }

  async function pushNewest(lane: OwnLane): Promise<void> {
    const head = running.store.head(lane);
    if (!head || pushed.get(lane) === head.accumulator) return;
    const terms = await lane.terms.newest();
    if (!terms) return;
    const attestation = await haltable(() => running.checkpoints.sign(lane, terms, head.nonce));
    pusher.push(`${lane.origin} ${lane.destination}`, attestation);
    pushed.set(lane, attestation.accumulator);
  }

  /** The lane that is asked about, if this validator works and follows it. */
  function laneOf(request: LaneRequest): { origin: Origin; lane: OwnLane } {
    if (state.status !== "following") {
      const code = state.status === "halted" ? "validator-halted" : "checkpoint-unavailable";
      throw new LockstepError(code, state.reason ?? "the validator is starting");
    }
    for (const origin of running.origins) {
      const lane = origin.lanes.find((each) => isAsked(each, request));
      if (lane) return { origin, lane };
    }
    throw new LockstepError("lane-unknown", "this validator does not follow that lane");
  }

  async function attest(request: AttestRequest): Promise<WireAttestation> {
    const { origin, lane } = laneOf(request);
    const { epoch, generation, nonce } = request;
    await lane.terms.assertValid({ epoch, generation });
    // The relayer may have seen a block before this validator's next look.
    if ((running.store.head(lane)?.nonce ?? 0n) < nonce) await haltable(() => origin.follower.look());
    return haltable(() => running.checkpoints.sign(lane, { epoch, generation }, nonce));
  }

  async function attestHeader(request: HeaderRequest): Promise<WireHeaderAttestation> {
    const { origin, lane } = laneOf(request);
    const { epoch, generation, height } = request;
    const { originChainId, destinationChainId: chainId } = lane.route;
    if (!lane.oracle) throw new LockstepError("attestation-refused", "no state oracle is configured for that chain");
    await lane.terms.assertValid({ epoch, generation });
    if ((running.store.cursor(lane.origin)?.height ?? -1n) < height) await haltable(() => origin.follower.look());
    const asked = { ...lane, originChainId, oracle: { chainId, address: lane.oracle } };
    return haltable(() => running.headers.sign(asked, { epoch, generation }, height));
  }

  async function haltable<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isLockstepError(error, "validator-halted")) halt(error.message);
      throw error;
    }
  }

  function follow(origin: Origin): Loop {
    return startLoop({
      step: () => step(origin),
      clock,
      idleMs: config.pollMs,
      backoff: { firstMs: config.pollMs, maxMs: 2_000 },
      onError: (error, { failures, fatal }) => {
        if (fatal && !isLockstepError(error, "validator-halted")) halt(`${origin.name} cannot be followed`);
        log.warn({ err: error, chain: origin.name, failures }, "look at chain failed");
      },
    });
  }

  return {
    health,
    async start() {
      const store = createSigningStore(config.storeFile);
      const { origins, genesis } = createOrigins({ ...deps, store, log });
      const signing = { account, store, log };
      const headers = createHeaderSigner({ ...signing, chainOf: (lane) => chainOf(origins, lane) });
      running = { store, origins, checkpoints: createCheckpointSigner(signing), headers };
      const halted = store.halted();
      if (halted !== undefined) halt(halted);
      else {
        await genesis();
        state = { status: "following" };
        pusher.start();
        loops = origins.map(follow);
      }
      const { url } = await server.listen();
      log.info({ url, address: account.address }, "validator listens");
      return { url };
    },
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()));
      await pusher.stop();
      await server.close();
      running?.store.close();
    },
  };
}

type LaneRequest = Pick<AttestRequest, "originChainId" | "destinationChainId">;

const isAsked = ({ route }: OwnLane, { originChainId, destinationChainId }: LaneRequest) =>
  route.originChainId === originChainId && route.destinationChainId === destinationChainId;

function chainOf(origins: readonly Origin[], { origin }: SigningLane): AgreedChain {
  const found = origins.find(({ lanes }) => lanes.some((lane) => lane.origin === origin));
  if (!found) throw new LockstepError("lane-unknown", "this validator does not follow that lane");
  return found.chain;
}

/** The library's error would quote the key, so it is not passed on. */
function toAccount(key: Redacted<Hex>) {
  try {
    return privateKeyToAccount(key.reveal());
  } catch {
    throw new LockstepError("config-invalid", "the validator's key is not a private key", {
      details: { field: "key" },
    });
  }
}
