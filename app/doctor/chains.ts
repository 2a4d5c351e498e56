import { decodeFunctionResult, encodeFunctionData, zeroAddress, zeroHash } from "viem";
import { stateOracleAbi } from "#core/abi/stateOracle.ts";
import type { Block, ChainAccess } from "#core/chain/chain.ts";
import type { ChainConfig } from "#core/config/chains.ts";
import { finalitySeconds } from "#core/config/finality.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { createGatewayReader } from "#relay";
import { decodeIsOpen, encodeIsOpen } from "#swap";
import { type Finding, fault, ok, skipped, warning, wordsOf } from "./finding.ts";

export type Connect = (name: string, settings: ChainConfig) => ChainAccess;
export type DoctorChain = { readonly name: string; readonly settings: ChainConfig; readonly access: ChainAccess };

/** A chain as it was found: what else can be asked of it, if anything. */
export type ChainCheckup = {
  readonly findings: readonly Finding[];
  /** Undefined where no endpoint of the right chain answers. */
  readonly chain: DoctorChain | undefined;
};

const hostOf = (endpoint: ChainConfig["endpoints"][number]): string =>
  new URL(typeof endpoint === "string" ? endpoint : endpoint.url).host;

/** Asks each endpoint by itself, then the chain over those that are well about its time and contracts. */
export async function checkChain(
  name: string,
  settings: ChainConfig,
  { connect, clock }: { connect: Connect; clock: Clock },
): Promise<ChainCheckup> {
  // Each alone, so there is nobody to agree with.
  const { agreement: _, ...alone } = settings;
  const looks = await Promise.all(
    settings.endpoints.map(async (endpoint) => {
      const access = connect(name, { ...alone, endpoints: [endpoint] });
      try {
        await access.verifyIdentity();
        const [genesis, head] = await Promise.all([access.genesis(), access.block("latest")]);
        return { endpoint, access, genesis, head };
      } catch (error) {
        return { endpoint, error };
      }
    }),
  );
  const well = looks.flatMap((look) => ("head" in look && look.head ? [{ ...look, head: look.head }] : []));
  const best = well.reduce((most, { head }) => (head.number > most ? head.number : most), 0n);
  const first = well[0];
  const findings = looks.map((look): Finding => {
    const title = `endpoint ${hostOf(look.endpoint)} of ${name}`;
    if ("error" in look) return endpointFault(title, name, look.error);
    if (!look.head) return fault(title, "it has no newest block", "look at the node");
    if (look.genesis !== first?.genesis)
      return fault(
        title,
        `its chain begins with block ${look.genesis}, that of another endpoint with ${first?.genesis}`,
        "take the one away that serves another chain of the same id",
      );
    const lag = best - look.head.number;
    if (lag > BigInt(settings.maxLag))
      return warning(title, `it is ${lag} blocks behind the best one`, "look whether the node is syncing");
    return ok(title, `block ${look.head.number}`);
  });
  const newest = well.find(({ head }) => head.number === best);
  if (!newest)
    return { findings: [...findings, skipped(`contracts of ${name}`, "no endpoint can be asked")], chain: undefined };
  const chain = { name, settings, access: newest.access };
  const others = [checkClock(chain, newest.head, clock), ...(await checkContracts(chain))];
  return { findings: [...findings, ...others], chain };
}

function endpointFault(title: string, chain: string, error: unknown): Finding {
  if (isLockstepError(error, "chain-id-mismatch"))
    return fault(title, wordsOf(error), `set chains.${chain}.chainId, or name an endpoint of that chain`);
  return fault(title, wordsOf(error), `look at the URL in chains.${chain}.endpoints, and whether the node runs`);
}

/** The newest block's time against this machine's: nothing else is asked about the time. */
function checkClock({ name, settings }: DoctorChain, head: Block, clock: Clock): Finding {
  const title = `clock against ${name}`;
  const ahead = Number(head.timestamp) - clock.now() / 1_000;
  const seconds = Math.abs(Math.round(ahead));
  if (ahead > settings.skewSeconds)
    return fault(
      title,
      `the newest block is ${seconds} s in this machine's future, ${settings.skewSeconds} s are allowed`,
      "set this machine's clock (NTP); if it is right, raise skewSeconds to what the chain's blocks really do",
    );
  const { blockSeconds, inclusionSeconds, skewSeconds, outageSeconds, idles } = settings;
  const patience = 2 * blockSeconds + inclusionSeconds + skewSeconds + outageSeconds;
  if (!idles && -ahead > patience)
    return warning(
      title,
      `the newest block is ${seconds} s old, at most ${patience} s were to be expected`,
      "set this machine's clock (NTP); if it is right, the chain or the node stands still",
    );
  return ok(
    title,
    `the newest block is ${seconds} s ${ahead > 0 ? "ahead" : "old"}, final after ${finalitySeconds(settings)} s`,
  );
}

async function checkContracts(chain: DoctorChain): Promise<Finding[]> {
  const { access, name, settings } = chain;
  const { gateway, timelock, stateOracle } = settings;
  const reader = createGatewayReader({ chain: access, gateway });
  const kinds: [string, Hex, () => Promise<string | undefined>][] = [
    ["gateway", gateway, async () => void (await reader.laneCaps(access.chainId))],
    [
      "timelock",
      timelock,
      async () => void decodeIsOpen(await access.call({ to: timelock, data: encodeIsOpen(zeroHash) })),
    ],
  ];
  if (stateOracle !== undefined)
    kinds.push(["stateOracle", stateOracle, () => oracleFault(access, stateOracle, gateway)]);
  return Promise.all(kinds.map(([kind, address, ask]) => checkContract(access, name, kind, address, ask)));
}

async function checkContract(
  access: ChainAccess,
  name: string,
  kind: string,
  address: Hex,
  ask: () => Promise<string | undefined>,
): Promise<Finding> {
  const title = `${kind} of ${name}`;
  const field = `chains.${name}.${kind}`;
  try {
    if (!(await access.account(address)).hasCode)
      return fault(title, `there is no contract at ${address}`, `deploy it (lockstep deploy), or set ${field} right`);
    const wrong = await ask();
    return wrong === undefined ? ok(title, address) : fault(title, wrong, `set ${field} right`);
  } catch (error) {
    if (isLockstepError(error) && error.code !== "call-reverted") return skipped(title, wordsOf(error));
    return fault(title, `the contract at ${address} does not answer as a ${kind} does`, `set ${field} right`);
  }
}

async function oracleFault(access: ChainAccess, oracle: Hex, gateway: Hex): Promise<string | undefined> {
  const data = encodeFunctionData({ abi: stateOracleAbi, functionName: "gateway" });
  const answer = await access.call({ to: oracle, data });
  const known = decodeFunctionResult({ abi: stateOracleAbi, functionName: "gateway", data: answer });
  if (known === gateway) return undefined;
  return known === zeroAddress ? `${oracle} was not initialized` : `${oracle} belongs to the gateway ${known}`;
}
