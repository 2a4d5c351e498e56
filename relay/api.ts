import { createOnce, unlessDone } from "#core/http/idempotency/once.ts";
import { serve } from "#core/http/serve.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { RetryFilter } from "./failedMessages.ts";
import { parseLaneName } from "./lane.ts";
import type { RelayQueries } from "./queries.ts";
import type { MessageRequester } from "./request.ts";
import type { MessageActions } from "./retry.ts";
import {
  abandonMessage,
  getMessage,
  listLanes,
  listMessages,
  listValidators,
  pushAttestation,
  retryMessage,
  retryMessages,
  sendMessage,
} from "./routes.ts";
import type { RetryRequest, WireAttestation } from "./schemas.ts";

type Deps = {
  requester: MessageRequester;
  actions: MessageActions;
  queries: RelayQueries;
  receive(attestation: WireAttestation): Promise<void>;
};

/** Most messages that one request retries. */
const mostRetried = 200;

/** Serves `/v1/messages`, `/v1/lanes`, `/v1/validators` and `/v1/attestations`. */
export function createRelayRoutes({ requester, actions, queries, receive }: Deps): (app: HttpServer) => Promise<void> {
  const act = async (reference: string, action: (id: string) => Promise<void>) => {
    const { id } = await queries.message(reference);
    await action(id);
    return queries.message(id);
  };
  return async (app) => {
    serve(app, sendMessage, async ({ body, caller, once }) => {
      const create = (id: string) => requester.request(body, id, caller);
      return queries.message(await createOnce(once, { exists: requester.exists, create }));
    });
    serve(app, listMessages, ({ query: { cursor, archived, ...filter } }) =>
      archived ? queries.archived(cursor, filter.limit) : queries.messages({ ...filter, before: cursor }),
    );
    serve(app, getMessage, ({ params }) => queries.message(params.id));
    serve(app, retryMessage, ({ params, once }) =>
      act(params.id, (id) => unlessDone(once, ["message-not-failed", "message-ended"], () => actions.retry(id))),
    );
    serve(app, abandonMessage, ({ params }) => act(params.id, actions.abandon));
    serve(app, retryMessages, async ({ body }) => {
      const ids = await actions.retryAll(filterOf(body), mostRetried);
      return { count: ids.length, ids, more: ids.length === mostRetried };
    });
    serve(app, listLanes, async () => ({ lanes: await queries.lanes() }));
    serve(app, listValidators, async () => ({ validators: await queries.validators() }));
    serve(app, pushAttestation, async ({ body }) => {
      await receive(body);
      return {};
    });
  };
}

function filterOf({ lane, recipient, from, to, code }: RetryRequest): RetryFilter {
  const time = (text: string | undefined) => (text === undefined ? undefined : Date.parse(text));
  return { ...(lane !== undefined && parseLaneName(lane)), recipient, code, from: time(from), to: time(to) };
}
