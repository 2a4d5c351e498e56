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

const idRequest = { id: 1, method: "eth_chainId", params: [] };
const subscribeRequest = { id: 2, method: "eth_subscribe", params: ["newHeads"] };
const headRequest = { id: 3, method: "eth_blockNumber", params: [] };

const answer = z.object({ id: z.number(), result: z.unknown() });
const notification = z.object({
  method: z.literal("eth_subscription"),
  params: z.object({ result: z.object({ number: quantity }) }),
});

/** One subscription to new heads over one WebSocket, until it dies, goes silent, or is closed by the answer. */
export function openHeadSocket(options: HeadSocketOptions): () => void {
  const { clock, timeoutMs } = options;
  const socket = new WebSocket(options.url);
  const ended = new AbortController();
  const replies = new Map<number, PromiseWithResolvers<unknown>>();
  let told: bigint | undefined;

  function end(reason: string): void {
    if (ended.signal.aborted) return;
    ended.abort();
    socket.close();
    options.onEnd(reason);
  }

  /** The answer to a request; ends the socket when there is none in time. */
  async function ask(request: { id: number; method: string; params: readonly unknown[] }): Promise<unknown> {
    const reply = Promise.withResolvers<unknown>();
    replies.set(request.id, reply);
    socket.send(JSON.stringify({ jsonrpc: "2.0", ...request }));
    const waited = new AbortController();
    const late = clock.sleep(timeoutMs, AbortSignal.any([waited.signal, ended.signal])).then(() => {
      if (!waited.signal.aborted) end("silent");
      return undefined;
    });
    const value = await Promise.race([reply.promise, late]);
    waited.abort();
    return value;
  }

  async function subscribe(): Promise<void> {
    const id = wireCount.safeParse(await ask(idRequest));
    if (id.data !== options.chainId) return end(id.success ? "wrong-chain" : "answer-invalid");
    if (typeof (await ask(subscribeRequest)) !== "string") return end("no-subscription");
    options.onLive();
    let missed: bigint | undefined;
    for (;;) {
      await clock.sleep(options.checkMs, ended.signal);
      if (ended.signal.aborted) return;
      // A head that was there at the last question and has still not been told of: the subscription is lost.
      if (missed !== undefined && (told === undefined || told < missed)) return end("silent");
      const head = quantity.safeParse(await ask(headRequest));
      if (!head.success) return end("answer-invalid");
      missed = told === undefined || head.data > told ? head.data : undefined;
      // The heads before the subscription are not told of.
      if (told === undefined) told = head.data;
    }
  }

  function hear(text: unknown): void {
    const message = typeof text === "string" ? parseJson(text) : undefined;
    const news = notification.safeParse(message);
    if (news.success) {
      told = news.data.params.result.number;
      options.onHead(told);
      return;
    }
    const reply = answer.safeParse(message);
    if (reply.success) replies.get(reply.data.id)?.resolve(reply.data.result);
  }

  socket.addEventListener("open", () => void subscribe());
  socket.addEventListener("message", ({ data }) => hear(data));
  socket.addEventListener("close", () => end("closed"));
  socket.addEventListener("error", () => end("connection"));
  void clock.sleep(timeoutMs, ended.signal).then(() => {
    if (socket.readyState === WebSocket.CONNECTING) end("timeout");
  });
  return () => end("stopped");
}
