import { LockstepError } from "#core/kernel/errors.ts";

export type TimelineEntry = {
  at: string;
  what: string;
  leg?: string;
  transactionHash?: `0x${string}`;
  detail?: string;
};
export type MessageAnswer = {
  id: string;
  status: string;
  timeline: TimelineEntry[];
  reason: { code: string; message: string };
};
export type SwapAnswer = MessageAnswer & { hashlock: string };

/** The REST API as a user has it: what the demo knows, it knows from here and from the chains. */
export type ApiClient = {
  post<T>(path: string, body: unknown): Promise<T>;
  get<T>(path: string): Promise<T>;
  /** Asks again until `done`, and throws what was seen last when time runs out. */
  until<T>(path: string, done: (answer: T) => boolean, timeoutMs: number): Promise<T>;
};

const askAgainMs = 20;

export function createApiClient(deps: { url: string; token: string }): ApiClient {
  async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${deps.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${deps.token}`,
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    if (response.ok) return answer as T;
    throw new LockstepError(
      "internal",
      `${method} ${path} was answered with ${response.status}: ${JSON.stringify(answer)}`,
    );
  }
  const get = <T>(path: string) => send<T>("GET", path);
  return {
    post: (path, body) => send("POST", path, body),
    get,
    async until<T>(path: string, done: (answer: T) => boolean, timeoutMs: number): Promise<T> {
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        const answer = await get<T>(path);
        if (done(answer)) return answer;
        if (Date.now() > deadline)
          throw new LockstepError("internal", `${path} did not get there in time: ${JSON.stringify(answer)}`);
        await new Promise((resolve) => setTimeout(resolve, askAgainMs));
      }
    },
  };
}
