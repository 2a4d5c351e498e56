import { zeroAddress, zeroHash } from "viem";
import type { ChainAccess } from "#core/chain/chain.ts";
import type { ChainConfig } from "#core/config/chains.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { type Lookup, lookupAll } from "#core/kernel/guardedLookup.ts";
import { isMetadataAddress, literalAddress } from "#core/kernel/publicAddresses.ts";
import { createGatewayReader } from "#relay";
import { decodeIsOpen, encodeIsOpen } from "#swap";
import type { ChainEntry } from "./registry.ts";

type Connect = (name: string, settings: ChainConfig) => ChainAccess;

/**
 * Throws `url-refused` naming the field for endpoints where clouds answer any program on a machine with the machine's own
 * credentials. A name that cannot be looked up leads nowhere.
 */
async function assertElsewhere(settings: ChainConfig, lookup: Lookup): Promise<void> {
  const urls = settings.endpoints.flatMap((endpoint, index) => {
    const { url, webSocket } = typeof endpoint === "string" ? { url: endpoint } : endpoint;
    return [url, webSocket ?? []].flat().map((each) => ({ field: `endpoints.${index}`, url: new URL(each) }));
  });
  for (const { field, url } of urls) {
    const literal = literalAddress(url);
    const found = literal === undefined ? await lookup(url.hostname).catch(() => []) : [{ address: literal }];
    if (!found.some(({ address }) => isMetadataAddress(address))) continue;
    throw new LockstepError("url-refused", `${field}: it leads to link-local addresses, where no node of a chain is`, {
      details: { field },
    });
  }
}

/**
 * Asks each endpoint by itself whether it is one of the chain: all of them answer, with the configured id, and with the
 * same first block, the `known` one where there is one. Throws `chain-unreachable`, `endpoint-refused`
 * or `url-refused` naming the field.
 */
export async function checkEndpoints(
  connect: Connect,
  name: string,
  settings: ChainConfig,
  known: Hex | undefined,
  lookup: Lookup = lookupAll,
): Promise<void> {
  await assertElsewhere(settings, lookup);
  // Each alone, so there is nobody to agree with.
  const { agreement: _, ...rest } = settings;
  const genesis = await Promise.all(
    settings.endpoints.map(async (endpoint, index) => {
      const field = `endpoints.${index}`;
      const alone = connect(name, { ...rest, endpoints: [endpoint] });
      try {
        await alone.verifyIdentity();
        return { field, block: await alone.genesis() };
      } catch (error) {
        throw atField(error, field);
      }
    }),
  );
  const wanted = known ?? genesis[0]?.block;
  const other = genesis.find(({ block }) => block !== wanted);
  if (other === undefined) return;
  const whose = known === undefined ? "the first endpoint" : `${name} as it was first seen`;
  throw new LockstepError(
    "endpoint-refused",
    `${other.field}: its chain begins with block ${other.block}, that of ${whose} with ${wanted}`,
    { details: { field: other.field, reason: "chain-replaced", found: other.block, known: wanted } },
  );
}

function atField(error: unknown, field: string): unknown {
  if (!isLockstepError(error)) return error;
  const details = { ...error.details, field };
  if (error.code !== "chain-id-mismatch") {
    return new LockstepError(error.code, `${field}: ${error.message}`, { details, cause: error });
  }
  return new LockstepError("endpoint-refused", `${field}: ${error.message}`, {
    details: { ...details, reason: error.code },
    cause: error,
  });
}

/**
 * Reads that the contracts are there and are what they should be, and that the gateways of chains which know each other
 * mean the same. Throws `contract-mismatch` naming the field.
 */
export async function checkContracts(chain: ChainAccess, settings: ChainConfig, others: readonly ChainEntry[]) {
  const { gateway, timelock } = settings;
  const reader = createGatewayReader({ chain, gateway });
  await answers(chain, "gateway", gateway, () => reader.laneCaps(chain.chainId));
  await answers(chain, "timelock", timelock, async () =>
    decodeIsOpen(await chain.call({ to: timelock, data: encodeIsOpen(zeroHash) })),
  );
  for (const other of others) {
    const here = (await reader.laneCaps(other.settings.chainId)).gateway;
    if (here !== zeroAddress && here !== other.settings.gateway) {
      throw mismatch("gateway", `${gateway} connects ${other.name} by ${here}, not by ${other.settings.gateway}`);
    }
    const there = await knownTo(other, settings.chainId);
    if (there !== zeroAddress && there !== gateway) {
      throw mismatch("gateway", `the gateway of ${other.name} connects this chain by ${there}, not by ${gateway}`);
    }
  }
}

/** Throws `contract-mismatch` unless both gateways know each other, so that messages can travel that way. */
export async function checkConnected(from: ChainEntry, to: ChainEntry): Promise<void> {
  const [there, here] = await Promise.all([knownTo(from, to.settings.chainId), knownTo(to, from.settings.chainId)]);
  if (there !== to.settings.gateway)
    throw mismatch("destination", `the gateway of ${from.name} does not know that of ${to.name}`);
  if (here !== from.settings.gateway)
    throw mismatch("origin", `the gateway of ${to.name} does not know that of ${from.name}`);
}

const knownTo = async ({ access, settings }: ChainEntry, chainId: number): Promise<Hex> =>
  (await createGatewayReader({ chain: access, gateway: settings.gateway }).laneCaps(chainId)).gateway;

async function answers(chain: ChainAccess, field: string, address: Hex, ask: () => Promise<unknown>): Promise<void> {
  if (!(await chain.account(address)).hasCode) throw mismatch(field, `there is no contract at ${address}`);
  try {
    await ask();
  } catch (error) {
    if (isLockstepError(error) && error.code !== "call-reverted") throw error;
    throw mismatch(field, `the contract at ${address} does not answer as a ${field} does`);
  }
}

const mismatch = (field: string, words: string) =>
  new LockstepError("contract-mismatch", `${field}: ${words}`, { details: { field } });
