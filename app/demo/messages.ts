import type { Network } from "../network/network.ts";
import type { ApiClient, MessageAnswer } from "./api.ts";

export type MessageResult = { lane: string; id: string; status: string; latencyMs: number };

const payload = "0x68656c6c6f";
const timeoutMs = 30_000;

/** Sends a message over a lane and waits until the recipient contract ran; latency is from request to that. */
export async function showMessage(
  network: Network,
  api: ApiClient,
  origin: string,
  destination: string,
): Promise<MessageResult> {
  const recipient = network.chains[destination]?.deployment.recorder;
  const begun = performance.now();
  const { id } = await api.post<MessageAnswer>("/v1/messages", { origin, destination, recipient, payload });
  const ended = (answer: MessageAnswer) => ["delivered", "failed", "dropped"].includes(answer.status);
  const { status } = await api.until(`/v1/messages/${id}`, ended, timeoutMs);
  return { lane: `${origin}→${destination}`, id, status, latencyMs: Math.round(performance.now() - begun) };
}
