import { get, type IncomingMessage } from "node:http";

/** One message of a stream of server-sent events, as a browser would see it. */
export type SseMessage = { readonly event: string; readonly id: string; readonly data: string };

export type SseClient = {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly messages: readonly SseMessage[];
  /** The last `id` of the stream, also of one without a message. */
  lastId(): string;
  /** Comments, which are signs of life. */
  comments(): number;
  retry(): number | undefined;
  /** The body of an answer that is no stream. */
  body(): string;
  /** Stops and goes on reading from the connection. */
  pause(): void;
  resume(): void;
  close(): void;
  readonly closed: Promise<void>;
};

/** Opens a stream and keeps what comes; resolves with the head of the answer. */
export function openSse(url: string, headers: Record<string, string> = {}): Promise<SseClient> {
  return new Promise((resolve, reject) => {
    const request = get(url, { headers, agent: false }, (response) =>
      resolve(follow(response, () => request.destroy())),
    );
    request.on("error", reject);
  });
}

function follow(response: IncomingMessage, close: () => void): SseClient {
  const closed = Promise.withResolvers<void>();
  const messages: SseMessage[] = [];
  let [text, whole, lastId, comments] = ["", "", "", 0];
  let retry: number | undefined;

  const take = (block: string) => {
    let [event, data] = ["message", ""];
    for (const line of block.split("\n")) {
      const at = line.indexOf(":");
      const value = line.slice(at + 1).replace(/^ /, "");
      if (at === 0) comments += 1;
      else if (line.slice(0, at) === "id") lastId = value;
      else if (line.slice(0, at) === "event") event = value;
      else if (line.slice(0, at) === "data") data += value;
      else if (line.slice(0, at) === "retry") retry = Number(value);
    }
    if (data !== "") messages.push({ event, id: lastId, data });
  };

  response.setEncoding("utf8");
  response.on("data", (chunk: string) => {
    if (response.statusCode !== 200) whole += chunk;
    text += chunk;
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    blocks.forEach(take);
  });
  response.on("error", () => undefined);
  response.on("close", () => closed.resolve());
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    messages,
    lastId: () => lastId,
    comments: () => comments,
    retry: () => retry,
    body: () => whole,
    pause: () => void response.pause(),
    resume: () => void response.resume(),
    close,
    closed: closed.promise,
  };
}
