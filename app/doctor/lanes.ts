import { slice, zeroAddress } from "viem";
import type { ServiceConfig } from "#core/config/service.ts";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import { configuredSet, createGatewayReader, laneName, type QuorumSet } from "#relay";
import { type Threshold, validatorSetHash } from "#relay/protocol/quorum.ts";
import type { DoctorChain } from "./chains.ts";
import { type Finding, fault, ok, skipped, warning, wordsOf } from "./finding.ts";

type Chains = ReadonlyMap<string, DoctorChain>;

/** Every lane that the configuration serves: whether both gateways know each other, and the same validators. */
export async function checkLanes({ chains, relay }: ServiceConfig, found: Chains, clock: Clock): Promise<Finding[]> {
  const names = Object.keys(chains);
  const pairs = names.flatMap((origin) => names.map((destination) => ({ origin, destination })));
  const lanes = relay.lanes ?? pairs.filter(({ origin, destination }) => origin !== destination);
  const all = lanes.map(async (lane): Promise<Finding[]> => {
    const title = `lane ${laneName(lane)}`;
    const [from, to] = [found.get(lane.origin), found.get(lane.destination)];
    if (!from || !to) return [skipped(title, "one of its chains cannot be asked")];
    try {
      const connection = await checkConnection(title, from, to);
      return connection.result === "ok" ? [connection, await checkSet(relay, from, to, clock)] : [connection];
    } catch (error) {
      return [skipped(title, wordsOf(error))];
    }
  });
  return (await Promise.all(all)).flat();
}

const gatewayOf = ({ access, settings }: DoctorChain) =>
  createGatewayReader({ chain: access, gateway: settings.gateway });

async function checkConnection(title: string, from: DoctorChain, to: DoctorChain): Promise<Finding> {
  for (const [here, there] of [
    [from, to],
    [to, from],
  ] as const) {
    const known = (await gatewayOf(here).laneCaps(there.settings.chainId)).gateway;
    if (known === there.settings.gateway) continue;
    const found =
      known === zeroAddress
        ? `does not know ${there.name}`
        : `knows ${there.name} by ${known}, not by ${there.settings.gateway}`;
    return fault(
      title,
      `the gateway of ${here.name} ${found}`,
      `have governance call setLane on ${here.name}, or set chains.${there.name}.gateway right`,
    );
  }
  return ok(title, "both gateways know each other");
}

/** Compares the set that the destination stores of the origin with the configured one. */
async function checkSet(
  relay: ServiceConfig["relay"],
  from: DoctorChain,
  to: DoctorChain,
  clock: Clock,
): Promise<Finding> {
  const title = `validators of ${laneName({ origin: from.name, destination: to.name })}`;
  const reader = gatewayOf(to);
  const originChainId = from.settings.chainId;
  const newest = await reader.newestEpoch(originChainId);
  const governance = `have governance call setValidators on ${to.name}`;
  if (newest === 0n) return fault(title, `${to.name} has no validators for ${from.name}`, governance);
  const { setHash, validUntil } = await reader.epochInfo(originChainId, newest);
  if (validUntil <= unixSeconds(clock)) return fault(title, `epoch ${newest} is not valid any more`, governance);
  if (newest !== BigInt(relay.epoch)) {
    const found = `the configuration has the set of epoch ${relay.epoch}, the gateway is at epoch ${newest}`;
    return newest > BigInt(relay.epoch)
      ? ok(title, `${found}, which its events tell`)
      : fault(title, found, "set relay.epoch to the gateway's");
  }
  const set = configuredSet(relay);
  const fits = (each: QuorumSet) => slice(validatorSetHash(originChainId, newest, each), 0, 26) === setHash;
  if (fits(set)) return ok(title, `${set.validators.length} validators of epoch ${newest}, as configured`);
  const rule = otherThresholds(set).find((threshold) => fits({ ...set, threshold }));
  if (rule)
    return fault(
      title,
      `the threshold there is ${wordsOfRule(rule)}, the configured one is ${wordsOfRule(set.threshold)}`,
      "set relay.threshold to that",
    );
  return fault(
    title,
    `the validators that ${to.name} knows for epoch ${newest} are not the configured ones`,
    "set addresses, weights and threshold in `relay` as they were given to setValidators",
  );
}

/** Thresholds that somebody may have meant: nothing but the hash is stored on the chain. */
function otherThresholds({ validators }: QuorumSet): Threshold[] {
  const total = validators.reduce((sum, { weight }) => sum + weight, 0n);
  const most = total < 200n ? Number(total) : 0;
  return [
    { rule: "simpleMajority" },
    ...[1n, 2n, 3n].map((numerator): Threshold => ({ rule: "superMajority", numerator, denominator: numerator + 1n })),
    ...Array.from({ length: most }, (_, i): Threshold => ({ rule: "absoluteWeight", weight: BigInt(i + 1) })),
  ];
}

function wordsOfRule(threshold: Threshold): string {
  switch (threshold.rule) {
    case "simpleMajority":
      return "simpleMajority";
    case "absoluteWeight":
      return `absoluteWeight ${threshold.weight}`;
    case "superMajority":
      return `superMajority ${threshold.numerator}/${threshold.denominator}`;
  }
}

/** Whether the validators that are asked for signatures answer. */
export async function checkValidators({ relay }: ServiceConfig): Promise<Finding[]> {
  return Promise.all(
    relay.validators.map(async ({ name, url }) => {
      const title = `validator ${name}`;
      try {
        const { status } = await fetch(new URL("/health/live", url), { signal: AbortSignal.timeout(3_000) });
        return status < 500 ? ok(title, "it answers") : warning(title, `it answers with ${status}`, "look at its log");
      } catch {
        return warning(
          title,
          `${new URL(url).host} does not answer`,
          "start it, or set its url in relay.validators right",
        );
      }
    }),
  );
}
