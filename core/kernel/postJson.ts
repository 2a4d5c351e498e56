import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Redacted } from "./redacted.ts";

/** What a server said; its text is undefined where it is longer than the bound. */
type Posted = { readonly status: number; readonly text: string | undefined };

/**
 * Posts JSON text and answers with what came back. Rejects when no connection could be made or trusted, and when the
 * answer is not complete in time. Redirections are not followed.
 */
export type PostJson = (
  url: URL,
  body: string,
  options?: { method?: "POST" | "GET"; headers?: Readonly<Record<string, string>> | undefined; signal?: AbortSignal },
) => Promise<Posted>;

type Options = NonNullable<Parameters<PostJson>[2]>;

/** PEM texts, as Node's TLS takes them. */
export type ClientCertificates = { readonly ca?: string; readonly cert?: string; readonly key?: string };

/**
 * The client for servers that have to be trusted by certificates of our own choice, which `fetch` cannot be told.
 * `timeoutMs` is for the whole exchange; `most` bounds the answer, in bytes.
 */
export function createPostJson(deps: {
  timeoutMs: number;
  most: number;
  tls?: Redacted<ClientCertificates> | undefined;
}): PostJson {
  const { timeoutMs, most } = deps;
  const kept = { keepAlive: true, maxSockets: 64 };
  const plain = new HttpAgent(kept);
  const secured = new HttpsAgent({ ...kept, ...deps.tls?.reveal(), minVersion: "TLSv1.2" });

  function exchange(url: URL, body: string, { method = "POST", headers = {} }: Options, signal: AbortSignal) {
    return new Promise<Posted>((resolve, reject) => {
      const secure = url.protocol === "https:";
      const sent = (secure ? httpsRequest : httpRequest)(url, {
        ...{ method, signal, agent: secure ? secured : plain },
        headers: {
          ...(method === "POST" && { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
          ...headers,
        },
      });
      const fail = (error: Error) => reject(Object.assign(error, { stale: sent.reusedSocket }));
      sent.on("error", fail);
      // The one end of some exchanges, as of one that the server upgrades: no answer comes any more, and no error.
      const close = () => fail(new Error("the connection was closed without an answer"));
      sent.on("close", close);
      sent.on("response", (answer) => {
        sent.off("close", close);
        readAll(answer, most).then(resolve, reject);
      });
      sent.end(body);
    });
  }

  return async (url, body, options = {}) => {
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
    try {
      return await exchange(url, body, options, signal);
    } catch (error) {
      // The server closed a kept connection just then: nothing is known against it yet.
      if (!isStale(error) || signal.aborted) throw error;
      return exchange(url, body, options, signal);
    }
  };
}

const isStale = (error: unknown) =>
  error instanceof Error && "stale" in error && error.stale === true && "code" in error && error.code === "ECONNRESET";

async function readAll(answer: IncomingMessage, most: number): Promise<Posted> {
  const chunks: Buffer[] = [];
  const status = answer.statusCode ?? 0;
  let length = 0;
  for await (const chunk of answer) {
    length += (chunk as Buffer).length;
    if (length > most) {
      answer.destroy();
      return { status, text: undefined };
    }
    chunks.push(chunk as Buffer);
  }
  return { status, text: Buffer.concat(chunks).toString("utf8") };
}
