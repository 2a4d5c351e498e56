import { z } from "zod";
import type { Clock } from "../kernel/clock.ts";
import { parseJson } from "../kernel/json.ts";
import { quantity, wireCount } from "./wire.ts";

export type HeadSocketOptions = {
  readonly url: string;
  readonly chainId: number;
  /** Milliseconds for the handshake and for each answer. */
  readonly timeoutMs: number;
  /** Milliseconds between two questions whether the other side is there and has told everything. */
  readonly checkMs: number;
  readonly clock: Clock;
  /** The subscription stands. */
  onLive(): void;
  onHead(height: bigint): void;
  /** Called once, with a stable code for why. */
  onEnd(reason: string): void;
};

/**
 * Milliseconds after which a subscription is made anew: Hardhat's nodes drop each five minutes after it was made, whatever
 * they told over it, and say nothing.
 */
const renewMs = 120_000;

type HeadRequest = { readonly id: number; readonly method: string; readonly params: readonly string[] };

const idRequest = { id: 1, method: "eth_chainId", params: [] };
const subscribeRequest = { id: 2, method: "eth_subscribe", params: ["newHeads"] };
const headRequest = { id: 3, method: "eth_blockNumber", params: [] };
const unsubscribeRequest = (subscription: string) => ({ id: 4, method: "eth_unsubscribe", params: [subscription] });

const answer = z.object({ id: z.number(), result: z.unknown() });
const notification = z.object({
  method: z.literal("eth_subscription"),
  params: z.object({ result: z.object({ number: quantity }) }),
});

/** One subscription to new heads over one WebSocket, until it dies, goes silent, or is closed. */
export function createHeadSocket(options: HeadSocketOptions): { close(): void } {
  const { clock, timeoutMs } = options;
  const socket = new WebSocket(options.url);
  const ended = new AbortController();
  const replies = new Map<number, (result: unknown) => void>();
  /** The newest head that was told of, or that was there when the subscription began. */
  let told = -1n;

  function end(reason: string): void {
    if (ended.signal.aborted) return;
    ended.abort();
    socket.close();
    options.onEnd(reason);
  }

  const send = (request: HeadRequest) => socket.send(JSON.stringify({ jsonrpc: "2.0", ...request }));

  async function ask(request: HeadRequest): Promise<unknown> {
    const reply = new Promise<unknown>((resolve) => replies.set(request.id, resolve));
    send(request);
    return inTime(reply, { clock, timeoutMs, ended: ended.signal, onLate: () => end("silent") });
  }

  /** Undefined when there is no good answer; the socket is ended then. */
  async function askHead(): Promise<bigint | undefined> {
    const head = quantity.safeParse(await ask(headRequest));
    if (!head.success) end("answer-invalid");
    return head.data;
  }

  /** Undefined when there is none; the socket is ended then. */
  async function subscribe(): Promise<{ readonly id: string; readonly since: number } | undefined> {
    const id = await ask(subscribeRequest);
    if (typeof id === "string") return { id, since: clock.now() };
    end("no-subscription");
    return undefined;
  }

  async function follow(): Promise<void> {
    const id = wireCount.safeParse(await ask(idRequest));
    if (id.data !== options.chainId) return end(id.success ? "wrong-chain" : "answer-invalid");
    let subscription = await subscribe();
    if (subscription === undefined) return;
    let seen = await askHead();
    if (seen !== undefined && seen > told) told = seen;
    if (!ended.signal.aborted) options.onLive();
    while (!ended.signal.aborted) {
      await clock.sleep(options.checkMs, ended.signal);
      // A head that was there at the last question and has still not been told of: the subscription is lost.
      if (seen !== undefined && told < seen) return end("silent");
      if (clock.now() - subscription.since >= renewMs) {
        const renewed = await subscribe();
        if (renewed === undefined) return;
        send(unsubscribeRequest(subscription.id));
        subscription = renewed;
      }
      seen = await askHead();
    }
  }

  function hear(text: unknown): void {
    const message = typeof text === "string" ? parseJson(text) : undefined;
    const news = notification.safeParse(message);
    const reply = answer.safeParse(message);
    if (news.success) {
      told = news.data.params.result.number;
      options.onHead(told);
    } else if (reply.success) replies.get(reply.data.id)?.(reply.data.result);
  }

  socket.addEventListener("open", () => void follow());
  socket.addEventListener("message", ({ data }) => hear(data));
  socket.addEventListener("close", () => end("closed"));
  socket.addEventListener("error", () => end("connection"));
  void clock.sleep(timeoutMs, ended.signal).then(() => {
    if (socket.readyState === WebSocket.CONNECTING) end("timeout");
  });
  return { close: () => end("stopped") };
}

/** The value if it comes in time and before the end, else undefined. */
async function inTime(
  value: Promise<unknown>,
  { clock, timeoutMs, ended, onLate }: { clock: Clock; timeoutMs: number; ended: AbortSignal; onLate: () => void },
): Promise<unknown> {
  const come = new AbortController();
  const late = clock.sleep(timeoutMs, AbortSignal.any([come.signal, ended])).then(() => {
    if (!come.signal.aborted) onLate();
    return undefined;
  });
  try {
    return await Promise.race([value, late]);
  } finally {
    come.abort();
  }
}
