import { z } from "zod";
import type { Clock } from "#core/kernel/clock.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import { type Mark, noMark } from "#core/kernel/mark.ts";
import { type ClientCertificates, createPostJson } from "#core/kernel/postJson.ts";
import type { Redacted } from "#core/kernel/redacted.ts";
import type { Log } from "#core/observe/log.ts";
import { attestationSchema, type WireAttestation } from "../schemas.ts";

/** Brings the newest checkpoint of each lane to the relayer; an older one that has not left yet is replaced. */
export type Pusher = {
  push(lane: string, attestation: WireAttestation): void;
  start(): void;
  stop(): Promise<void>;
};

const timeoutMs = 5_000;
const idleMs = 60_000;

/** Bytes of an answer that are read. */
const longestAnswer = 16_384;

export function createPusher(deps: {
  relayerUrl: string;
  tls?: Redacted<ClientCertificates> | undefined;
  clock: Clock;
  log: Log;
  mark?: Mark;
}): Pusher {
  const { clock, log, mark = noMark } = deps;
  const post = createPostJson({ timeoutMs, most: longestAnswer, tls: deps.tls });
  const waiting = new Map<string, WireAttestation>();
  let loop: Loop | undefined;
  /** The status of the last refusal since something was taken. */
  let refusal: number | undefined;

  async function send(attestation: WireAttestation, signal: AbortSignal): Promise<void> {
    const url = new URL("/v1/attestations", deps.relayerUrl);
    const { status, text = "" } = await post(url, JSON.stringify(z.encode(attestationSchema, attestation)), { signal });
    // What the relayer refuses it will refuse again; only what it could not take now is tried again.
    if (status >= 500) throw new Error(`the relayer answered with status ${status}`);
    // Once for each kind of refusal: a validator of a coming epoch is refused until then.
    const level = status === refusal ? "debug" : "warn";
    refusal = status < 300 ? undefined : status;
    if (refusal !== undefined) log[level]({ status, answer: text.slice(0, 300) }, "relayer refused an attestation");
  }

  async function step(signal: AbortSignal): Promise<"continue" | "idle"> {
    const [entry] = waiting;
    if (!entry) return "idle";
    const [lane, attestation] = entry;
    await send(attestation, signal);
    mark("pushed/checkpoint");
    if (waiting.get(lane) === attestation) waiting.delete(lane);
    return "continue";
  }

  return {
    push(lane, attestation) {
      waiting.set(lane, attestation);
      loop?.wake();
    },
    start() {
      loop ??= startLoop({
        step,
        clock,
        idleMs,
        backoff: { firstMs: 100, maxMs: 2_000 },
        onError: (error, { failures, retryInMs }) =>
          log.debug({ err: error, failures, retry_in_ms: retryInMs }, "relayer not reached, trying again"),
      });
    },
    async stop() {
      await loop?.stop();
      loop = undefined;
    },
  };
}
