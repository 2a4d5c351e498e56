import type { Signer } from "#core/chain/keys.ts";
import { createRemoteSigner } from "#core/chain/remoteSigner.ts";
import { type AccountSource, readGuardedKey, readSecret, readTls } from "#core/config/accounts.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { createPostJson } from "#core/kernel/postJson.ts";
import type { Redacted } from "#core/kernel/redacted.ts";
import type { Log } from "#core/observe/log.ts";

/** Bytes of a signed transaction as hex, with room for a large batch. */
const longestAnswer = 1024 * 1024;

type Deps = { log: Log; clock: Clock };

export const fieldOf = (account: string) => `accounts.${account}`;

/** What reads the managed accounts, by field: each with its key or with what signs for it. */
export function accountReaders(
  config: ServiceConfig,
  deps: Deps,
): Record<string, () => Promise<Redacted<Hex> | Signer>> {
  warnOfOpenKeys(config, deps.log);
  return Object.fromEntries(
    Object.entries(config.accounts).map(([name, source]) => [fieldOf(name), () => openAccount(name, source, deps)]),
  );
}

async function openAccount(name: string, source: AccountSource, deps: Deps): Promise<Redacted<Hex> | Signer> {
  const field = fieldOf(name);
  if (!("remote" in source)) return readGuardedKey(source, field);
  const { url, address, token, tls, timeoutMs } = source.remote;
  const signer = createRemoteSigner({
    ...{ url, address, clock: deps.clock },
    token: token && readSecret(token, `${field}.remote.token`),
    post: createPostJson({ timeoutMs, most: longestAnswer, tls: readTls(tls, `${field}.remote.tls`) }),
  });
  // Not waited for: what needs no signature, and other accounts, go on without it.
  void signer.hasAccount().then((has) => {
    if (has === false) deps.log.error({ account: name, address }, "remote signer does not have the account");
    if (has === undefined)
      deps.log.warn({ account: name, address }, "remote signer does not say which accounts it has");
  });
  return signer;
}

/** Keys in the open are for local networks. */
function warnOfOpenKeys({ accounts, chains }: ServiceConfig, log: Log): void {
  const local = Object.values(chains).every(({ endpoints }) => endpoints.every(isLoopback));
  const open = Object.entries(accounts).flatMap(([name, source]) =>
    "file" in source || "variable" in source ? [name] : [],
  );
  if (!local && open.length > 0) {
    log.warn({ accounts: open }, "keys of accounts are not encrypted: use keystores or a remote signer");
  }
}

const loopbackNames = new Set(["localhost", "127.0.0.1", "[::1]"]);
const isLoopback = (endpoint: string | { url: string }) =>
  loopbackNames.has(new URL(typeof endpoint === "string" ? endpoint : endpoint.url).hostname);
