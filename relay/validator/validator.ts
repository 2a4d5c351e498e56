import { privateKeyToAccount } from "viem/accounts";
import type { WatchableChain } from "#core/chain/chain.ts";
import type { ValidatorConfig } from "#core/config/validator.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import { type Mark, noMark } from "#core/kernel/mark.ts";
import type { ClientCertificates } from "#core/kernel/postJson.ts";
import type { Redacted } from "#core/kernel/redacted.ts";
import type { Log } from "#core/observe/log.ts";
import type { Metrics } from "#core/observe/metrics.ts";
import { gaugeValidator } from "../metrics.ts";
import { createRequestCheck } from "../requestSignature.ts";
import type { AgreedChain } from "./agreement.ts";
import { type Answers, createAnswers } from "./answering.ts";
import { createHeaderSigner } from "./headerSigner.ts";
import { createOrigins, type Origin, type OwnLane } from "./origins.ts";
import { createPace } from "./pace.ts";
import { createPusher } from "./pusher.ts";
import { createValidatorServer, type ServerCertificates } from "./server.ts";
import { createCheckpointSigner } from "./signer.ts";
import { createSigningStore, type SigningLane, type SigningStore } from "./signingStore.ts";
import { describeOrigins, type ValidatorStatus } from "./status.ts";

/**
 * One validator: follows the final blocks of its chains with endpoints of its own, signs the lanes' accumulators,
 * pushes the newest and signs others on request. It stops for good when what it signed contradicts a final block.
 */
export type Validator = {
  /**
   * Opens the store and listens. Throws `data-folder-in-use`, `chain-replaced`, or `config-invalid` for the store of
   * another key; a halted one only answers so.
   */
  start(): Promise<{ url: string }>;
  stop(): Promise<void>;
  health(): ValidatorStatus;
};

export type ValidatorDeps = {
  readonly config: ValidatorConfig;
  readonly key: Redacted<Hex>;
  /** Per chain of the configuration one `Chain` for each of its endpoints. */
  readonly chains: Readonly<Record<string, readonly WatchableChain[]>>;
  /** Where they are given, `GET /metrics` answers with them. */
  readonly metrics?: Metrics;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * Takes back a halt. Every history is followed anew, and what was signed is held against it: without a new generation
   * of the lane, set by governance at the destination, the validator halts again.
   */
  readonly resume?: boolean;
  readonly mark?: Mark;
  /** What the validator shows to who asks it, and wants to be shown; it does not encrypt without. */
  readonly serverTls?: Redacted<ServerCertificates> | undefined;
  /** What it shows to the service that it pushes to, and whom it trusts there. */
  readonly clientTls?: Redacted<ClientCertificates> | undefined;
};

type Running = { readonly store: SigningStore; readonly origins: readonly Origin[]; readonly answers: Answers };
type State = Pick<ValidatorStatus, "status" | "reason">;

/** Milliseconds between two looks at a chain that tells about new heads. */
const restMs = 1_000;

export function createValidator(deps: ValidatorDeps): Validator {
  const { config, clock, mark = noMark } = deps;
  const log = deps.log.child({ module: "validator", validator: config.name });
  const account = toAccount(deps.key);
  const { relayers, relayerUrl, listen } = config;
  const pusher = createPusher({ relayerUrl, tls: deps.clientTls, clock, log, mark });
  if (deps.metrics) gaugeValidator(deps.metrics, health);
  const server = createValidatorServer({
    tls: deps.serverTls,
    check: relayers && createRequestCheck({ validator: account.address, relayers, clock }),
    pace: createPace({ perSecond: listen.requestsPerSecond, clock }),
    ...{ listen, health, log, metrics: deps.metrics },
    attest: (request) => haltable(() => answers().attest(request)),
    attestHeader: (request) => haltable(() => answers().attestHeader(request)),
  });
  let running: Running | undefined;
  const followedAt = new Map<string, number>();
  let loops: Loop[] = [];
  let state: State = { status: "starting" };

  function health(): ValidatorStatus {
    if (!running) return { name: config.name, ...state, chains: [], lanes: [] };
    const { origins, store } = running;
    const described = describeOrigins(origins, store, clock.now(), ({ name }) => followedAt.get(name) ?? 0);
    const behind = state.status === "following" && described.chains.filter(({ following }) => !following);
    if (!behind || behind.length === 0) return { name: config.name, ...state, ...described };
    const reason = `no agreed final block lately of ${behind.map(({ chain }) => chain).join(", ")}`;
    return { name: config.name, status: "stalled", reason, ...described };
  }

  function halt(reason: string): void {
    state = { status: "halted", reason };
    log.error({ reason }, "validator is halted and signs nothing");
  }

  function answers(): Answers {
    if (state.status === "following" && running) return running.answers;
    const code = state.status === "halted" ? "validator-halted" : "checkpoint-unavailable";
    throw new LockstepError(code, state.reason ?? "the validator is starting");
  }

  /** Follows one origin and pushes what has not been pushed since the start. */
  async function step(origin: Origin): Promise<"idle" | "fatal"> {
    if (state.status === "halted") return "fatal";
    if (await haltable(() => origin.follower.look())) followedAt.set(origin.name, clock.now());
    // A destination that does not answer keeps no other lane waiting.
    await Promise.all(origin.lanes.map((lane) => pushNewest(origin, lane)));
    return "idle";
  }

  async function pushNewest(origin: Origin, lane: OwnLane): Promise<void> {
    try {
      const attestation = await haltable(() => answers().newest(origin, lane));
      if (attestation) pusher.push(`${lane.origin} ${lane.destination}`, attestation);
    } catch (error) {
      if (isLockstepError(error, "validator-halted")) throw error;
      log.debug({ err: error, destination: lane.destination }, "newest checkpoint is not signed yet");
    }
  }

  async function haltable<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isLockstepError(error, "validator-halted") && state.status !== "halted") halt(error.message);
      throw error;
    }
  }

  function follow(origin: Origin): Loop {
    const endpoints = deps.chains[origin.name] ?? [];
    const telling = endpoints.filter((each) => each.endpoints?.().some(({ socket }) => socket !== undefined));
    const loop = startLoop({
      step: () => step(origin),
      clock,
      idleMs: telling.length === 0 ? config.pollMs : Math.max(config.pollMs, restMs),
      backoff: { firstMs: config.pollMs, maxMs: 2_000 },
      onError: (error, { failures, fatal }) => {
        if (fatal && !isLockstepError(error, "validator-halted")) halt(`${origin.name} cannot be followed`);
        log.warn({ err: error, chain: origin.name, failures }, "look at chain failed");
      },
    });
    for (const endpoint of telling) void loop.ended.then(endpoint.watchHeads?.(loop.wake));
    return loop;
  }

  return {
    health,
    async start() {
      const store = openStore(config.storeFile, account.address);
      if (deps.resume) store.resume();
      const { origins, genesis } = createOrigins({ ...deps, store, log });
      const signing = { account, store, log, mark };
      const checkpoints = createCheckpointSigner(signing);
      const headers = createHeaderSigner({ ...signing, chainOf: (lane) => chainOf(origins, lane) });
      running = { store, origins, answers: createAnswers({ origins, store, checkpoints, headers }) };
      const halted = store.halted();
      if (halted !== undefined) halt(halted);
      else {
        await genesis();
        state = { status: "following" };
        for (const { name } of origins) followedAt.set(name, clock.now());
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

function chainOf(origins: readonly Origin[], { origin }: SigningLane): AgreedChain {
  const found = origins.find(({ spelled }) => spelled === origin);
  if (!found) throw new LockstepError("lane-unknown", "this validator does not follow that lane");
  return found.chain;
}

/** What the key has signed; that of another key is not this one's to contradict, nor to be held against it. */
function openStore(file: string, signer: Hex): SigningStore {
  const store = createSigningStore(file);
  try {
    store.assertSameSigner(signer);
    return store;
  } catch (error) {
    store.close();
    throw error;
  }
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
