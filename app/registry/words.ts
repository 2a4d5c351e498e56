import { type ChainConfig, chainConfigSchema } from "#core/config/chains.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type Json, toJson } from "#core/kernel/json.ts";
import { type Lane, type LaneSetting, laneName, parseLaneName, type WayOfDelivery } from "#relay";

export type Kind = "chain" | "lane";
export type Source = "file" | "api";
export type State = "active" | "paused" | "removed";

/** What the API has said about a chain or a lane. */
export type Word = {
  readonly kind: Kind;
  readonly name: string;
  /** `api`: it was added there and the file is not asked about it; `file`: said about what the file has. */
  readonly source: Source;
  readonly state: State;
  /** All settings of a chain that was added, or those that replace the file's. Of an added lane its way of delivery. */
  readonly settings: Readonly<Record<string, Json>>;
  readonly revision: bigint;
};

/** A chain as file and API together have it. */
export type ChainSetting = {
  readonly name: string;
  readonly settings: ChainConfig;
  readonly source: Source;
  readonly state: State;
  /** Of the API's last word about it; 0 when it said nothing. */
  readonly revision: bigint;
};

/**
 * The chains by name, removed ones included: their history is still shown. The API's word wins over the file: a chain
 * that was added there is as it was added, of a chain in the file each setting that was changed there, and the state.
 * Throws `config-invalid` when the two do not fit together any more, and for one chain under two names: two senders with
 * one sequence of nonces would fight.
 */
export function mergeChains(
  file: Readonly<Record<string, ChainConfig>>,
  words: readonly Word[],
): Map<string, ChainSetting> {
  const merged = new Map(
    Object.entries(file).map(([name, settings]): [string, ChainSetting] => [
      name,
      { name, settings, source: "file", state: "active", revision: 0n },
    ]),
  );
  for (const { kind, name, source, state, settings: said, revision } of words) {
    if (kind !== "chain") continue;
    const before = source === "file" ? merged.get(name) : undefined;
    // About a chain that is no longer in the file; when one is removed, all of its settings are kept.
    if (source === "file" && before === undefined && state !== "removed") continue;
    const settings = parseSettings(name, { ...(before && spell(before.settings)), ...said });
    merged.set(name, { name, settings, source, state, revision });
  }
  assertOneName([...merged.values()]);
  return merged;
}

function assertOneName(chains: readonly ChainSetting[]): void {
  const names = new Map<number, string>();
  for (const { name, settings } of chains) {
    const other = names.get(settings.chainId);
    names.set(settings.chainId, name);
    if (other === undefined) continue;
    const field = `chains.${name}.chainId`;
    const message = `${field}: chain ${settings.chainId} is ${other} already, in the file or as the API has it`;
    throw new LockstepError("config-invalid", message, { details: { field } });
  }
}

/** Settings as file and API spell them: amounts, bigints in code, are decimal strings there. */
export const spell = (settings: object): Record<string, Json> => JSON.parse(toJson(settings)) as Record<string, Json>;

function parseSettings(name: string, given: unknown): ChainConfig {
  const result = chainConfigSchema.safeParse(given);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = ["chains", name, ...(issue?.path ?? [])].map(String).join(".");
  throw new LockstepError(
    "config-invalid",
    `${field}: ${issue?.message ?? "not valid"}, as the API and the file have it`,
    {
      details: { field },
    },
  );
}

type FileLane = Lane & { readonly delivery?: WayOfDelivery };

/**
 * The lanes that are served between chains that are there: those of the file (every ordered pair when it names none),
 * those added over the API, without those removed there. Throws `config-invalid` for a lane of the file to a chain that
 * nobody knows.
 */
export function mergeLanes(
  file: readonly FileLane[] | undefined,
  chains: ReadonlyMap<string, ChainSetting>,
  words: readonly Word[],
): Map<string, LaneSetting> {
  const there = (name: string) => (chains.get(name)?.state ?? "removed") !== "removed";
  for (const lane of file ?? []) assertServable(lane, chains);
  const names = [...chains.keys()].filter(there);
  const pairs = names.flatMap((origin) => names.map((destination): FileLane => ({ origin, destination })));
  const started = (file ?? pairs).filter((lane) => isBetween(lane, there));
  const merged = new Map(
    started.map(({ delivery = "checkpoint", ...lane }): [string, LaneSetting] => {
      const source = lanesSource(lane, file, chains);
      return [laneName(lane), { ...lane, delivery, source, state: "active", revision: 0n }];
    }),
  );
  for (const { kind, name, source, state, settings, revision } of words) {
    const lane = kind === "lane" ? parseLaneName(name) : undefined;
    if (!lane || !isBetween(lane, there)) continue;
    if (state === "removed") merged.delete(name);
    else if (source === "api" || merged.has(name)) {
      const said = settings.delivery === "proof" ? "proof" : "checkpoint";
      const delivery = source === "file" ? (merged.get(name)?.delivery ?? said) : said;
      merged.set(name, { ...lane, delivery, source, state, revision });
    }
  }
  return merged;
}

/** A pair that nobody named is there because of its chains, so it comes from where the younger of them comes. */
const lanesSource = (
  lane: Lane,
  file: readonly Lane[] | undefined,
  chains: ReadonlyMap<string, ChainSetting>,
): Source =>
  file === undefined && [lane.origin, lane.destination].some((name) => chains.get(name)?.source === "api")
    ? "api"
    : "file";

const isBetween = ({ origin, destination }: Lane, there: (name: string) => boolean): boolean =>
  origin !== destination && there(origin) && there(destination);

function assertServable(lane: FileLane, chains: ReadonlyMap<string, ChainSetting>): void {
  if (lane.delivery === "proof" && chains.get(lane.destination)?.settings.stateOracle === undefined) {
    const message = `relay.lanes: ${laneName(lane)} is delivered by proof, which needs chains.${lane.destination}.stateOracle`;
    throw new LockstepError("config-invalid", message, { details: { field: "relay.lanes" } });
  }
  if (lane.origin !== lane.destination && chains.has(lane.origin) && chains.has(lane.destination)) return;
  throw new LockstepError("config-invalid", `relay.lanes: ${laneName(lane)} is not between two configured chains`, {
    details: { field: "relay.lanes" },
  });
}
