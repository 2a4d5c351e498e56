import { createHmac } from "node:crypto";
import { changedFields, withLiveFields } from "#core/config/changes.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Redacted } from "#core/kernel/redacted.ts";
import type { Log } from "#core/observe/log.ts";

/** Which configuration a process goes by. */
export type ConfigFacts = {
  /** Of all of it. Equal ones are equal configurations. */
  readonly fingerprint: string;
  /** Of what the processes of a fleet have in common: all but `roles`, `http`, `dataDir`, `fleet` and `logLevel`. */
  readonly shared: string;
  readonly loadedAt: string;
  /** Fields in which the file was different when it was last read, and which take effect at a restart alone. */
  readonly waiting: readonly string[];
};

/** The configuration of a process as it is now: some of it may change while it runs. */
export type LiveConfig = {
  now(): ServiceConfig;
  facts(): ConfigFacts;
  /**
   * Called with every change, before it counts; what throws keeps the configuration as it was, for everybody. Where the
   * file cannot be used it is called with the present one, since what that names, such as certificates, may be new.
   */
  onChange(prepare: (next: ServiceConfig) => () => void): void;
  /** Reads the file again. Answers whether it is what counts now; the log says what does not. */
  reload(): boolean;
};

/** `read` throws for a file that is not valid. Without it nothing is read again. `key`: equal in all of a fleet. */
export function createLiveConfig(deps: {
  config: ServiceConfig;
  read?: (() => ServiceConfig) | undefined;
  key: Redacted<Uint8Array>;
  clock: Clock;
  log: Log;
}): LiveConfig {
  const { read, key, clock, log } = deps;
  const preparations: ((next: ServiceConfig) => () => void)[] = [];
  let config = deps.config;
  let loadedAt = clock.now();
  let waiting: readonly string[] = [];
  let told = fingerprints(config, key);

  function apply(next: ServiceConfig): void {
    // What is wrong with any shows before anything has changed.
    const applied = preparations.map((prepare) => prepare(next));
    for (const each of applied) each();
  }

  function take(given: ServiceConfig): void {
    const next = Object.freeze(withLiveFields(config, given));
    const changed = changedFields(config, next);
    const left = changedFields(next, given);
    apply(next);
    [config, waiting, loadedAt, told] = [next, left, clock.now(), fingerprints(next, key)];
    log.info({ changed, waiting }, "the configuration was read again");
    if (waiting.length > 0) log.warn({ fields: waiting }, "these fields take effect when the process starts again");
  }

  return {
    now: () => config,
    facts: () => ({ ...told, loadedAt: new Date(loadedAt).toISOString(), waiting }),
    onChange: (prepare) => void preparations.push(prepare),
    reload() {
      if (!read) return false;
      try {
        take(read());
        return true;
      } catch (error) {
        log.error({ err: error }, "the configuration cannot be read again, going on with the one before");
      }
      try {
        apply(config);
      } catch (error) {
        log.error({ err: error }, "files that the configuration names cannot be read again");
      }
      return false;
    },
  };
}

/** Keyed, because a configuration may hold what can be guessed. */
function fingerprints(config: ServiceConfig, key: Redacted<Uint8Array>): { fingerprint: string; shared: string } {
  const { roles: _roles, http: _http, dataDir: _dataDir, fleet: _fleet, logLevel: _level, ...shared } = config;
  const of = (value: unknown) =>
    createHmac("sha256", key.reveal())
      .update(JSON.stringify(sorted(value)))
      .digest("hex")
      .slice(0, 16);
  return { fingerprint: of(config), shared: of(shared) };
}

/** The order of keys says nothing. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inside]) => [name, sorted(inside)]),
  );
}
