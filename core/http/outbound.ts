import { Agent as HttpAgent, request as overHttp } from "node:http";
import { request as overTls, Agent as TlsAgent } from "node:https";
import { LockstepError } from "../kernel/errors.ts";
import { guardedLookup, type Lookup, lookupAll } from "../kernel/guardedLookup.ts";
import { isPublicAddress, literalAddress } from "../kernel/publicAddresses.ts";

export type OutboundOptions = {
  readonly ports: readonly number[];
  /** Hosts, as URLs have them, that may be anywhere and take http. */
  readonly allowHosts: readonly string[];
  readonly timeoutMs: number;
  /** In place of the system's, for tests. */
  readonly lookup?: Lookup;
};

/**
 * Requests to URLs that users gave. They reach public addresses alone: a name's addresses are judged where the connection
 * is made, so an answer of the DNS that changes in between changes nothing. Redirects are not followed.
 */
export type Outbound = {
  /** Throws `url-refused` for a URL that nothing is ever sent to. */
  check(url: string): void;
  /** Its answer's status; the body is dropped. Throws `url-refused`, or `receiver-failed` saying why in one word. */
  post(url: string, message: { body: string; headers: Readonly<Record<string, string>> }): Promise<number>;
  close(): void;
};

/** Bytes of an answer that are read so that its connection can be used again; after more it is closed. */
const mostAnswer = 16_384;

export function createOutbound(options: OutboundOptions): Outbound {
  const { allowHosts, ports, timeoutMs, lookup = lookupAll } = options;
  const guarded = guardedLookup(lookup, (found) =>
    found.every(({ address }) => isPublicAddress(address))
      ? undefined
      : refused("its name leads into a private network"),
  );
  const agentOptions = { keepAlive: true, maxSockets: 4, timeout: 30_000 };
  const agents = { "http:": new HttpAgent(agentOptions), "https:": new TlsAgent(agentOptions) };

  function checked(text: string): URL {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (!url) throw refused("it is none");
    if (url.username !== "" || url.password !== "") throw refused("it carries a user name or password");
    if (url.hash !== "") throw refused("it has a fragment");
    const free = allowHosts.includes(url.host);
    if (url.protocol !== "https:" && !(free && url.protocol === "http:")) throw refused("it is not https");
    if (free) return url;
    if (!ports.includes(Number(url.port || "443"))) throw refused(`its port is not one of ${ports.join(", ")}`);
    const address = literalAddress(url);
    if (address !== undefined && !isPublicAddress(address)) throw refused("it leads into a private network");
    return url;
  }

  return {
    check: (text) => void checked(text),
    async post(text, { body, headers }) {
      const url = checked(text);
      const free = allowHosts.includes(url.host);
      const signal = AbortSignal.timeout(timeoutMs);
      const send = url.protocol === "http:" ? overHttp : overTls;
      return new Promise((resolve, reject) => {
        const request = send(url, {
          ...{ method: "POST", signal, headers: { ...headers, "content-length": Buffer.byteLength(body) } },
          agent: agents[url.protocol === "http:" ? "http:" : "https:"],
          ...(!free && { lookup: guarded }),
        });
        request.on("error", (error) => reject(failureOf(error, signal.aborted)));
        // The one end of some exchanges, as of one that the receiver upgrades: no answer comes any more, and no error.
        request.on("close", () => reject(failureOf(new Error("closed without an answer"), signal.aborted)));
        request.on("response", (response) => {
          resolve(response.statusCode ?? 0);
          let length = 0;
          response.on("error", () => undefined);
          response.on("data", (chunk: Buffer) => {
            length += chunk.length;
            if (length > mostAnswer) request.destroy();
          });
        });
        request.end(body);
      });
    },
    close() {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

const refused = (why: string) =>
  new LockstepError("url-refused", `url: nothing is sent there: ${why}`, { details: { field: "url" } });

/** Only the kind of failure is told: what is reachable from here is nobody's business. */
function failureOf(error: Error, late: boolean): Error {
  if (error instanceof LockstepError) return error;
  const { code } = error as NodeJS.ErrnoException;
  const reason = late ? "timeout" : code === "ENOTFOUND" || code === "EAI_AGAIN" ? "name-unknown" : "unreachable";
  return new LockstepError("receiver-failed", `the receiver did not answer: ${reason}`, { details: { reason } });
}
