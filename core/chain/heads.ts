import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../observe/log.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Endpoints } from "./endpoints.ts";
import { createHeadSocket } from "./headSocket.ts";
import { isUsable } from "./health.ts";

/** Milliseconds between two wake-ups while a socket tells about heads: what a lost notification costs at most. */
const restMs = 1_000;
/** Wake-ups after a notification while the endpoint that is read does not have the block yet. */
const chases = 10;
const firstPauseMs = 100;
const longestPauseMs = 5_000;

/** Wakes whoever waits for new heads of one chain. */
export type Heads = {
  /** See `watchHeads` of a chain. Sockets and timers are there while somebody watches. */
  watch(onHead: () => void): () => void;
  /** Whether the endpoint at this place of the configuration tells about heads; undefined when it offers no socket. */
  socketAt(index: number): "live" | "down" | undefined;
};

export type HeadsOptions = {
  readonly chain: string;
  readonly chainId: number;
  readonly endpoints: Endpoints;
  /** Milliseconds between two wake-ups while nobody tells. */
  readonly pollMs: number;
  readonly timeoutMs: number;
  /** Milliseconds between two questions to the socket whether it is alive. */
  readonly checkMs: number;
  readonly clock: Clock;
  readonly log: Log;
};

export function createHeads(options: HeadsOptions): Heads {
  const { endpoints, pollMs, clock } = options;
  const listeners = new Set<() => void>();
  let stopping: AbortController | undefined;
  let live: Endpoint | undefined;
  /** The newest head that was told of, and how often it may still be looked for. */
  let told = { height: -1n, looks: 0 };
  let sleeping: AbortController | undefined;
  let closeSocket: (() => void) | undefined;

  const wakeAll = () => {
    for (const listener of listeners) listener();
  };
  const isBehind = () => endpoints.all.every(({ health }) => (health.head ?? -1n) < told.height);

  /** Wakes by time: seldom while a socket is live, unless what it told of cannot be read yet. */
  async function tick(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      const chasing = live !== undefined && told.looks > 0 && isBehind();
      const interrupted = new AbortController();
      sleeping = interrupted;
      const ms = live !== undefined && !chasing ? Math.max(restMs, pollMs) : pollMs;
      await clock.sleep(ms, AbortSignal.any([stopped, interrupted.signal]));
      if (stopped.aborted || interrupted.signal.aborted) continue;
      if (chasing) told = { ...told, looks: told.looks - 1 };
      if (!chasing || isBehind()) wakeAll();
      leaveBadEndpoint();
    }
  }

  /** A socket of a node that lags tells late. */
  function leaveBadEndpoint(): void {
    if (live === undefined || isUsable(endpoints.stateOf(live)) || candidate(live) === undefined) return;
    closeSocket?.();
  }

  function hear(height: bigint): void {
    told = { height, looks: chases };
    wakeAll();
    // A reason of its own spares the making of an error, with its stack, for every block.
    sleeping?.abort("head");
  }

  /** Whose socket comes next: the best that offers one, but not the one that just failed if there are others. */
  function candidate(failed: Endpoint | undefined): Endpoint | undefined {
    const offering = endpoints
      .ranked()
      .filter((each) => each.webSocket !== undefined && isUsable(endpoints.stateOf(each)));
    return offering.find((each) => each !== failed) ?? offering[0];
  }

  async function listen(stopped: AbortSignal): Promise<void> {
    let failed: Endpoint | undefined;
    let pause = firstPauseMs;
    while (!stopped.aborted) {
      const endpoint = candidate(failed);
      if (endpoint?.webSocket !== undefined) {
        const wasLive = await follow(endpoint, endpoint.webSocket, stopped);
        if (wasLive) pause = firstPauseMs;
        failed = endpoint;
      }
      await clock.sleep(pause, stopped);
      pause = Math.min(2 * pause, longestPauseMs);
    }
  }

  /** Until the socket ends. True if it was live in between. */
  async function follow(endpoint: Endpoint, url: string, stopped: AbortSignal): Promise<boolean> {
    const { chain, chainId, timeoutMs, checkMs, log } = options;
    let wasLive = false;
    const reason = await new Promise<string>((resolve) => {
      const socket = createHeadSocket({
        ...{ url, chainId, timeoutMs, checkMs, clock, onHead: hear, onEnd: resolve },
        onLive() {
          wasLive = true;
          live = endpoint;
          log.debug({ chain, endpoint: endpoint.name }, "heads come over a socket");
          hear(-1n);
        },
      });
      closeSocket = socket.close;
      stopped.addEventListener("abort", closeSocket, { once: true });
    });
    if (closeSocket) stopped.removeEventListener("abort", closeSocket);
    closeSocket = undefined;
    live = undefined;
    sleeping?.abort();
    if (!stopped.aborted) log.warn({ chain, endpoint: endpoint.name, reason }, "socket ended, heads are polled");
    return wasLive;
  }

  function start(): void {
    stopping = new AbortController();
    void tick(stopping.signal);
    if (endpoints.all.some(({ webSocket }) => webSocket !== undefined)) void listen(stopping.signal);
  }

  return {
    watch(onHead) {
      const listener = () => onHead();
      listeners.add(listener);
      if (stopping === undefined) start();
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        stopping?.abort();
        stopping = undefined;
      };
    },
    socketAt(index) {
      const endpoint = endpoints.all[index];
      if (endpoint?.webSocket === undefined) return undefined;
      return endpoint === live ? "live" : "down";
    },
  };
}
