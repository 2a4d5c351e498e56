import { privateKeyToAccount } from "viem/accounts";
import type { Chain } from "#core/chain/chain.ts";
import type { ValidatorConfig } from "#core/config/validator.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Redacted } from "#core/kernel/redacted.ts";
import type { Log } from "#core/observe/log.ts";
import { createGatewayReader } from "../gateway.ts";
import type { AttestRequest, WireAttestation } from "../schemas.ts";
import { createAgreedChain } from "./agreement.ts";
import { createFollower, type Follower } from "./follower.ts";
import { createPusher } from "./pusher.ts";
import { createValidatorServer, type ValidatorHealth } from "./server.ts";
import { createCheckpointSigner, type SignedLane } from "./signer.ts";
import { createSigningStore, type SigningStore } from "./signingStore.ts";
import { createLaneTerms, type LaneTerms } from "./terms.ts";

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

type Origin = { readonly name: string; readonly follower: Follower; readonly lanes: readonly OwnLane[] };
type OwnLane = SignedLane & { readonly terms: LaneTerms };

export function createValidator(deps: ValidatorDeps): Validator {
  const { config, clock } = deps;
  const log = deps.log.child({ module: "validator", validator: config.name });
  const account = toAccount(deps.key);
  const pusher = createPusher({ relayerUrl: config.relayerUrl, clock, log });
  const server = createValidatorServer({ listen: config.listen, name: config.name, attest, health, log });
  let running: { store: SigningStore; origins: readonly Origin[]; sign: ReturnType<typeof createCheckpointSigner> };
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
    const attestation = await haltable(() => running.sign.sign(lane, terms, head.nonce));
    pusher.push(`${lane.origin} ${lane.destination}`, attestation);
    pushed.set(lane, attestation.accumulator);
  }

  async function attest(request: AttestRequest): Promise<WireAttestation> {
    if (state.status !== "following") {
      const code = state.status === "halted" ? "validator-halted" : "checkpoint-unavailable";
      throw new LockstepError(code, state.reason ?? "the validator is starting");
    }
    const origin = running.origins.find(({ lanes }) => lanes.some((lane) => isAsked(lane, request)));
    const lane = origin?.lanes.find((each) => isAsked(each, request));
    if (!origin || !lane) throw new LockstepError("lane-unknown", "this validator does not follow that lane");
    const { epoch, generation, nonce } = request;
    await lane.terms.assertValid({ epoch, generation });
    // The relayer may have seen a block before this validator's next look.
    if ((running.store.head(lane)?.nonce ?? 0n) < nonce) await haltable(() => origin.follower.look());
    return haltable(() => running.sign.sign(lane, { epoch, generation }, nonce));
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
      const { origins, genesis } = createOrigins(deps, store, log);
      running = { store, origins, sign: createCheckpointSigner({ account, store, log }) };
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

const isAsked = ({ route }: OwnLane, { originChainId, destinationChainId }: AttestRequest) =>
  route.originChainId === originChainId && route.destinationChainId === destinationChainId;

/** Every chain as the origin of lanes to all others, and the check that they are the chains of before. */
function createOrigins({ config, chains, clock }: ValidatorDeps, store: SigningStore, log: Log) {
  const known = Object.entries(config.chains).map(([name, chain]) => {
    const endpoints = chains[name] ?? [];
    const [first] = endpoints;
    if (!first) throw new LockstepError("config-invalid", `chains.${name}: there are no endpoints`);
    return { ...chain, name, endpoints, first, spelled: `${chain.chainId}-${chain.gateway}` };
  });
  const origins = known.map((from): Origin => {
    const lanes = known
      .filter((to) => to !== from)
      .map((to): OwnLane => {
        const reader = createGatewayReader({ chain: to.first, gateway: to.gateway });
        return {
          ...{ origin: from.spelled, destination: to.spelled, destinationChainId: to.chainId },
          route: {
            ...{ originChainId: from.chainId, originGateway: from.gateway },
            ...{ destinationChainId: to.chainId, destinationGateway: to.gateway },
          },
          terms: createLaneTerms({ reader, originChainId: from.chainId, clock }),
        };
      });
    const { endpoints, gateway, name, spelled: origin, startBlock, logWindow } = from;
    const destinations = lanes.map(({ destinationChainId }) => destinationChainId);
    const chain = createAgreedChain({ endpoints, gateway, destinations, log: log.child({ chain: name }) });
    const blocks = { startBlock: BigInt(startBlock), logWindow: BigInt(logWindow) };
    return { name, lanes, follower: createFollower({ chain, origin, gateway, lanes, ...blocks, store, log }) };
  });
  const genesis = async () => {
    for (const { spelled, first } of known) store.assertSameChain(spelled, await first.genesis());
  };
  return { origins, genesis };
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
