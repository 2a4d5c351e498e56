import { Agent, request as overHttp } from "node:http";
import { request as overTls, Agent as TlsAgent } from "node:https";
import type { LookupFunction } from "node:net";
import { bulkhead, TaskCancelledError, TimeoutStrategy, timeout, wrap } from "cockatiel";
import { guardedLookup, type Lookup, lookupAll } from "../kernel/guardedLookup.ts";
import { isMetadataAddress } from "../kernel/publicAddresses.ts";

/** Names that lead where clouds give credentials away are followed nowhere, however they came to be named. */
const guarded = (lookup: Lookup) =>
  guardedLookup(lookup, (found) =>
    found.some(({ address }) => isMetadataAddress(address)) ? new TransportFailure("address-refused") : undefined,
  );

/** Most bytes of an answer; logs of a full window of blocks stay well below. */
const longestAnswer = 64 * 1024 * 1024;

/**
 * Requests that travel alone after a batch was refused. Then one is tried again: a gateway in front of nodes that has too
 * much to do for a moment refuses it just as a node that knows none.
 */
const aloneAfterRefusal = 200;

/**
 * Why there is no answer. Only the reason is kept: what libraries throw quotes the request, which can hold a secret.
 * Requests that failed together in one HTTP request get the same object.
 */
export class TransportFailure extends Error {
  readonly reason: string;
  constructor(reason: string) {
    super(reason);
    this.name = "TransportFailure";
    this.reason = reason;
  }
}

export type RawAnswer = { readonly result?: unknown; readonly error?: unknown };

/** JSON-RPC to one URL. Requests of one turn of the event loop travel together; equal ones travel once. */
export type Transport = {
  /** Throws `TransportFailure`. */
  request(method: string, params: readonly unknown[]): Promise<RawAnswer>;
  /** At once, in an HTTP request of its own that waits for no other. */
  requestNow(method: string, params: readonly unknown[]): Promise<RawAnswer>;
};

export type TransportOptions = {
  readonly url: string;
  /** Milliseconds for one HTTP request, and for the wait for a turn. */
  readonly timeoutMs: number;
  /** Most HTTP requests under way at a time. */
  readonly maxConcurrent: number;
  /** Most JSON-RPC requests in one HTTP request. */
  readonly maxBatch: number;
  /** In place of the system's, for tests. */
  readonly lookup?: Lookup;
  /** Called for every HTTP request with its milliseconds, or with why it failed. */
  onExchange(outcome: { readonly ms: number } | { readonly failed: string }): void;
};

type Waiting = {
  /** Method and params in JSON: equal texts are one request. */
  readonly text: string;
  readonly since: number;
  readonly answer: PromiseWithResolvers<RawAnswer>;
};

export function createTransport(options: TransportOptions): Transport {
  const { timeoutMs, maxConcurrent, onExchange } = options;
  const post = createPost(new URL(options.url), guarded(options.lookup ?? lookupAll));
  const limit = bulkhead(maxConcurrent);
  const patience = timeout(timeoutMs, { strategy: TimeoutStrategy.Aggressive, abortOnReturn: false });
  const inTurn = wrap(limit, patience);
  /** Requests that still travel alone. */
  let alone = 0;
  let waiting = new Map<string, Waiting>();
  let flushing = false;
  let lastId = 0;

  function enqueue(text: string): Promise<RawAnswer> {
    const known = waiting.get(text);
    if (known !== undefined) return known.answer.promise;
    const entry = { text, since: performance.now(), answer: Promise.withResolvers<RawAnswer>() };
    waiting.set(text, entry);
    if (!flushing) {
      flushing = true;
      setImmediate(flush);
    }
    return entry.answer.promise;
  }

  function again(entry: Waiting): void {
    const known = waiting.get(entry.text);
    if (known === undefined) waiting.set(entry.text, entry);
    else entry.answer.resolve(known.answer.promise);
  }

  /** Sends what waits, as far as there are free slots. What was asked while all were busy travels together. */
  function flush(): void {
    flushing = false;
    const late = performance.now() - timeoutMs;
    for (const entry of waiting.values()) {
      if (entry.since >= late) break;
      waiting.delete(entry.text);
      entry.answer.reject(new TransportFailure("busy"));
    }
    while (waiting.size > 0 && limit.executionSlots > 0) {
      const batch = [...waiting.values()].slice(0, alone > 0 ? 1 : options.maxBatch);
      if (batch.length === waiting.size) waiting = new Map();
      else for (const { text } of batch) waiting.delete(text);
      void deliver(batch, inTurn).finally(flush);
    }
  }

  async function deliver(batch: readonly Waiting[], policy: typeof inTurn | typeof patience): Promise<void> {
    const firstId = lastId + 1;
    lastId += batch.length;
    const bodies = batch.map(({ text }, index) => `{"jsonrpc":"2.0","id":${firstId + index},${text}}`);
    const started = performance.now();
    try {
      const body = batch.length === 1 ? (bodies[0] ?? "") : `[${bodies.join()}]`;
      const answers = readAnswers(await policy.execute(({ signal }) => post(body, signal)), firstId, batch.length);
      onExchange({ ms: performance.now() - started });
      if (answers === "batch refused") {
        alone = aloneAfterRefusal;
        for (const entry of batch) again(entry);
        return;
      }
      if (batch.length === 1 && alone > 0) alone -= 1;
      batch.forEach(({ answer }, index) => {
        const own = answers[index];
        if (own === undefined) answer.reject(new TransportFailure("answer-missing"));
        else answer.resolve(own);
      });
    } catch (error) {
      const failure = toFailure(error);
      onExchange({ failed: failure.reason });
      for (const { answer } of batch) answer.reject(failure);
    }
  }

  return {
    request: (method, params) => enqueue(spell(method, params)),
    requestNow(method, params) {
      const answer = Promise.withResolvers<RawAnswer>();
      void deliver([{ text: spell(method, params), since: performance.now(), answer }], patience);
      return answer.promise;
    },
  };
}

const spell = (method: string, params: readonly unknown[]) =>
  `"method":${JSON.stringify(method)},"params":${JSON.stringify(params)}`;

function toFailure(error: unknown): TransportFailure {
  if (error instanceof TransportFailure) return error;
  const isLate = error instanceof TaskCancelledError || (error instanceof Error && error.name === "AbortError");
  return new TransportFailure(isLate ? "timeout" : "connection");
}

/** Answers in the order of the requests, undefined for those that are missing. */
function readAnswers(text: string, firstId: number, count: number): (RawAnswer | undefined)[] | "batch refused" {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new TransportFailure("not-json");
  }
  if (count === 1) return [isObject(parsed) ? parsed : undefined];
  // A node that knows no batches answers all of them with one error.
  if (!Array.isArray(parsed)) return "batch refused";
  const byId = new Map(parsed.filter(isObject).map((answer) => [(answer as { id?: unknown }).id, answer]));
  return Array.from({ length: count }, (_, index) => byId.get(firstId + index));
}

const isObject = (value: unknown): value is RawAnswer =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** POSTs a body over connections that are kept. Redirects are not followed. */
function createPost(url: URL, lookup: LookupFunction): (body: string, signal: AbortSignal) => Promise<string> {
  const secure = url.protocol === "https:";
  const agent = secure ? new TlsAgent({ keepAlive: true, lookup }) : new Agent({ keepAlive: true, lookup });
  const open = secure ? overTls : overHttp;

  const once = (body: string, signal: AbortSignal, isSecond: boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
      const request = open(url, { method: "POST", agent, headers, signal }, (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on("data", (chunk: Buffer) => {
          length += chunk.length;
          if (length > longestAnswer) response.destroy(new TransportFailure("answer-too-long"));
          else chunks.push(chunk);
        });
        response.on("error", reject);
        response.on("end", () => {
          const status = response.statusCode ?? 0;
          const text = Buffer.concat(chunks).toString();
          if (status === 429) reject(new TransportFailure("throttled"));
          else if (status >= 300 && !text.includes('"error"')) reject(new TransportFailure(`http-${status}`));
          else resolve(text);
        });
      });
      request.on("error", (error) => {
        // A kept connection that the other side had just closed says nothing about the endpoint.
        if (request.reusedSocket && !isSecond && !signal.aborted) resolve(once(body, signal, true));
        else reject(error);
      });
      request.end(body);
    });
  return (body, signal) => once(body, signal, false);
}
