import type { z } from "zod";
import type { Route, RouteAnswer } from "#core/http/route.ts";
import { type Clock, systemClock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import * as relay from "#relay/routes.ts";
import * as swap from "#swap/routes.ts";
import * as apiKeys from "../api/apiKeyRoutes.ts";
import * as audit from "../api/auditRoutes.ts";
import * as chains from "../api/chainRoutes.ts";
import * as fleet from "../api/instanceRoutes.ts";
import * as lanes from "../api/laneRoutes.ts";
import * as restore from "../api/restoreRoutes.ts";
import * as state from "../api/stateRoutes.ts";
import * as webhooks from "../api/webhookRoutes.ts";
import { type Authorize, type CallOptions, type CallRoute, createCall, type RouteCall } from "./call.ts";
import { createEvents } from "./events.ts";
import type { Given } from "./given.ts";
import { createPlaces } from "./places.ts";

export type ClientOptions = {
  /** Of the service, e.g. `http://127.0.0.1:7600`. */
  readonly url: string;
  /** The start-up token or an API key. */
  readonly token?: string;
  /** Proves each request in another way than by a token. */
  readonly authorize?: Authorize;
  /** For one attempt of a request, in milliseconds. */
  readonly timeoutMs?: number;
  /** Attempts after the first where the service could not answer; they carry the same idempotency key. */
  readonly retries?: number;
  readonly fetch?: typeof fetch;
  readonly clock?: Clock;
};

/** Everything a service can be asked, typed by its own routes. */
export type Client = ReturnType<typeof createClient>;

export type Swap = RouteAnswer<typeof swap.getSwap>;
export type SwapOrder = Given<z.input<(typeof swap.requestSwap)["body"]>>;
export type Message = RouteAnswer<typeof relay.getMessage>;
export type MessageOrder = Given<z.input<(typeof relay.sendMessage)["body"]>>;
export type Quote = RouteAnswer<typeof swap.requestQuote>;
export type Lock = RouteAnswer<typeof swap.getLock>;
export type Instance = RouteAnswer<typeof fleet.drainInstance>;

type UntilOptions = { readonly timeoutMs?: number; readonly signal?: AbortSignal };

type WithParams = Route & { readonly params: z.ZodType };
type WithBody = Route & { readonly body: z.ZodType };
type WithQuery = Route & { readonly query: z.ZodType };
type BodyOf<R extends WithBody> = Given<z.input<R["body"]>>;
type QueryOf<R extends WithQuery> = Given<z.input<R["query"]>>;

type Lane = { readonly origin: string; readonly destination: string };

/** Looks again this often while it waits for something without an event to tell it. */
const lookMs = 250;

/**
 * A client of a service. Every method throws the service's errors under their codes, `service-unreachable` when it does
 * not answer after all attempts, and `service-answer-invalid` for an answer that does not fit the route's schema.
 */
export function createClient(options: ClientOptions) {
  const { url, token, timeoutMs = 30_000, retries = 3, clock = systemClock } = options;
  const authorize: Authorize =
    options.authorize ?? (() => (token === undefined ? {} : { authorization: `Bearer ${token}` }));
  const deps = { url, authorize, timeoutMs, retries, clock, fetch: options.fetch ?? fetch, places: createPlaces() };
  const call = createCall(deps);
  const { ask, send, byId, byName, ofLane, act, pages } = methods(call);

  /** Asks for the thing again until `done` says so; throws `wait-timeout` with the last status after `timeoutMs`. */
  const until =
    <T extends { readonly id: string; readonly status: string }>(
      get: (id: string, options?: CallOptions) => Promise<T>,
    ) =>
    async (
      id: string,
      done: (now: T) => boolean,
      { timeoutMs: most = 600_000, signal }: UntilOptions = {},
    ): Promise<T> => {
      const deadline = clock.now() + most;
      for (;;) {
        const now = await get(id, signal ? { signal } : {});
        if (done(now)) return now;
        if (clock.now() >= deadline) {
          throw new LockstepError("wait-timeout", `${id} is ${now.status} after ${most / 1_000} s`, {
            details: { status: now.status },
          });
        }
        await clock.sleep(lookMs, signal);
        signal?.throwIfAborted();
      }
    };

  const getSwap = byId(swap.getSwap);
  const getMessage = byId(relay.getMessage);
  return {
    /** Any route, by its declaration. */
    call,
    swaps: {
      request: send(swap.requestSwap),
      get: getSwap,
      list: ask(swap.listSwaps),
      /** All that fit, page after page, newest first. */
      each: pages(swap.listSwaps, ({ swaps }) => swaps),
      claim: act(swap.claimSwap),
      sign: act(swap.signSwap),
      refund: byId(swap.refundSwap),
      approve: act(swap.approveSwap),
      reject: act(swap.rejectSwap),
      until: until(getSwap),
    },
    quotes: { request: send(swap.requestQuote), desk: ask(swap.getDesk) },
    messages: {
      send: send(relay.sendMessage),
      get: getMessage,
      list: ask(relay.listMessages),
      each: pages(relay.listMessages, ({ messages }) => messages),
      retry: byId(relay.retryMessage),
      abandon: byId(relay.abandonMessage),
      retryAll: send(relay.retryMessages),
      until: until(getMessage),
    },
    locks: {
      get: (chain: string, lockId: string, options?: CallOptions) =>
        call(swap.getLock, { params: { chain, lockId } }, options),
      list: ask(swap.listLocks),
      each: pages(swap.listLocks, ({ locks }) => locks),
      until: async (chain: string, lockId: string, done: (now: Lock) => boolean, options?: UntilOptions) => {
        const get = async (_: string, asked?: CallOptions) => {
          const lock = await call(swap.getLock, { params: { chain, lockId } }, asked);
          return { id: lockId, status: lock.watch?.state ?? lock.state, lock };
        };
        return (await until(get)(lockId, ({ lock }) => done(lock), options)).lock;
      },
      watch: (chain: string, lockId: string, options?: CallOptions) =>
        call(swap.watchLock, { params: { chain, lockId } }, options),
    },
    halts: { list: ask(swap.listHalts), put: send(swap.putHalt), lift: byId(swap.liftHalt) },
    chains: {
      list: ask(chains.listChains),
      add: send(chains.addChain),
      change: (name: string, body: BodyOf<typeof chains.changeChain>, options?: CallOptions) =>
        call(chains.changeChain, { params: { name }, body }, options),
      pause: byName(chains.pauseChain),
      resume: byName(chains.resumeChain),
      remove: (name: string, query?: QueryOf<typeof chains.removeChain>, options?: CallOptions) =>
        call(chains.removeChain, { params: { name }, query: query ?? {} }, options),
      restore: byName(chains.restoreChain),
      reindex: (name: string, body: BodyOf<typeof chains.reindexChain>, options?: CallOptions) =>
        call(chains.reindexChain, { params: { name }, body }, options),
    },
    lanes: {
      list: ask(relay.listLanes),
      add: send(lanes.addLane),
      pause: ofLane(lanes.pauseLane),
      resume: ofLane(lanes.resumeLane),
      remove: (lane: Lane, query?: QueryOf<typeof lanes.removeLane>, options?: CallOptions) =>
        call(lanes.removeLane, { params: lane, query: query ?? {} }, options),
    },
    /** The processes of the service, and what is done by one of them at a time. */
    instances: { list: ask(fleet.listInstances), drain: byId(fleet.drainInstance) },
    leases: { list: ask(fleet.listLeases) },
    /** What a restore from a backup still keeps from being done. */
    restore: { show: ask(restore.showRestore), release: ask(restore.releaseRestore) },
    /** Accounts and slots of a chain with their proofs. */
    state: {
      account: (
        params: { name: string; address: Hex },
        query?: QueryOf<typeof state.proveAccount>,
        options?: CallOptions,
      ) => call(state.proveAccount, { params, query: query ?? {} }, options),
      slot: (
        params: { name: string; address: Hex; slot: Hex },
        query?: QueryOf<typeof state.proveSlot>,
        options?: CallOptions,
      ) => call(state.proveSlot, { params, query: query ?? {} }, options),
    },
    webhooks: {
      add: send(webhooks.addWebhook),
      list: ask(webhooks.listWebhookViews),
      get: byId(webhooks.getWebhook),
      resume: act(webhooks.resumeWebhookRoute),
      remove: byId(webhooks.removeWebhook),
    },
    apiKeys: {
      /** The answer's `secret` is shown this once. */
      create: send(apiKeys.createApiKey),
      list: ask(apiKeys.listApiKeys),
      each: pages(apiKeys.listApiKeys, ({ keys }) => keys),
      revoke: byId(apiKeys.revokeApiKey),
    },
    audit: { list: ask(audit.listAudit), each: pages(audit.listAudit, ({ lines }) => lines) },
    /** Events as they happen, each once, over as many connections as it takes. */
    events: createEvents(deps),
    validators: { list: ask(relay.listValidators) },
    bridges: { list: ask(relay.listBridges) },
  };
}

/** How routes become methods. Which parts a call has is known of each route, not of routes at large: hence the casts. */
function methods(call: CallRoute) {
  const any = <R extends Route>(route: R, parts: object, options?: CallOptions) =>
    call(route, parts as RouteCall<R>, options);
  return {
    ask:
      <R extends Route>(route: R) =>
      (query?: R extends WithQuery ? QueryOf<R> : undefined, options?: CallOptions) =>
        any(route, { query }, options),
    send:
      <R extends WithBody>(route: R) =>
      (body: BodyOf<R>, options?: CallOptions) =>
        any(route, { body }, options),
    byId:
      <R extends WithParams>(route: R) =>
      (id: string, options?: CallOptions) =>
        any(route, { params: { id } }, options),
    byName:
      <R extends WithParams>(route: R) =>
      (name: string, options?: CallOptions) =>
        any(route, { params: { name } }, options),
    ofLane:
      <R extends WithParams>(route: R) =>
      (lane: Lane, options?: CallOptions) =>
        any(route, { params: lane }, options),
    act:
      <R extends WithParams & WithBody>(route: R) =>
      (id: string, body: BodyOf<R>, options?: CallOptions) =>
        any(route, { params: { id }, body }, options),
    pages: <R extends WithQuery, Item>(route: R, items: (page: RouteAnswer<R>) => readonly Item[]) =>
      async function* (query?: QueryOf<R>, options?: CallOptions): AsyncGenerator<Item, void> {
        let cursor: string | undefined;
        do {
          const page = await any(route, { query: { ...(query as object), ...(cursor && { cursor }) } }, options);
          yield* items(page);
          cursor = (page as { readonly next?: string }).next;
        } while (cursor !== undefined);
      },
  };
}
