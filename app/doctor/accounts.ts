import { readFileSync } from "node:fs";
import { formatEther } from "viem";
import { privateKeyToAddress } from "viem/accounts";
import { type AccountSource, readKey } from "#core/config/accounts.ts";
import { keystoreAddress } from "#core/config/keystore.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import { checksummed, type Hex } from "#core/kernel/codec.ts";
import type { DoctorChain } from "./chains.ts";
import { type Finding, fault, ok, skipped, warning, wordsOf } from "./finding.ts";

type Chains = ReadonlyMap<string, DoctorChain>;

/** Gas of a transaction of the service, as its balance alarms reckon, and how many an account should be good for. */
const usualGas = 300_000n;
const usualTransactions = 20n;

/** The address of a managed account, without a password. Throws `config-invalid`; undefined where the keystore hides it. */
function addressOf(name: string, source: AccountSource): Hex | undefined {
  if ("remote" in source) return source.remote.address;
  if ("keystore" in source) {
    const address = keystoreAddress(readFileSync(source.keystore, "utf8"));
    return address === undefined ? undefined : checksummed(address as Hex);
  }
  return privateKeyToAddress(readKey(source, `accounts.${name}`).reveal());
}

/** Whether each account can pay for what it does, on each chain that it does something on. */
export async function checkAccounts(config: ServiceConfig, chains: Chains): Promise<Finding[]> {
  const all = Object.entries(config.accounts).map(async ([name, source]): Promise<Finding[]> => {
    let address: Hex | undefined;
    try {
      address = addressOf(name, source);
    } catch (error) {
      return [fault(`account ${name}`, wordsOf(error), `set accounts.${name} right`)];
    }
    if (address === undefined) return [skipped(`account ${name}`, "its keystore does not say its address")];
    const needed = neededOn(config, name);
    return Promise.all([...chains.values()].map((chain) => checkBalance(name, address, chain, needed.has(chain.name))));
  });
  return (await Promise.all(all)).flat();
}

/** Chains that the service itself pays on with the account. */
function neededOn({ chains, relay, swap }: ServiceConfig, name: string): ReadonlySet<string> {
  const every = Object.keys(chains);
  const delivers = [relay.account, ...(relay.accounts ?? [])].includes(name);
  const destinations = relay.lanes?.map(({ destination }) => destination) ?? every;
  const trades = Object.values(swap.desk?.assets ?? {}).map(({ chain }) => chain);
  return new Set([
    ...(delivers ? destinations : []),
    ...(swap.watchtower?.account === name ? every : []),
    ...(swap.desk?.account === name ? trades : []),
  ]);
}

async function checkBalance(
  name: string,
  address: Hex,
  { name: chain, access }: DoctorChain,
  needed: boolean,
): Promise<Finding> {
  const title = `account ${name} on ${chain}`;
  try {
    const [{ balance }, { maxFeePerGas }] = await Promise.all([access.account(address), access.fees()]);
    const one = usualGas * maxFeePerGas;
    const enough = usualTransactions * one;
    const held = `${address} holds ${formatEther(balance)}`;
    if (!needed && balance > 0n) return ok(title, held);
    if (!needed)
      return warning(
        title,
        `${held}, so it cannot send there`,
        `send it ${formatEther(enough)} if it is to act on ${chain}`,
      );
    const fix = `send it at least ${formatEther(enough - balance)}: ${usualTransactions} transactions at present prices`;
    if (balance < one) return fault(title, `${held}, one transaction needs about ${formatEther(one)}`, fix);
    return balance < enough ? warning(title, `${held}, which is not for long`, fix) : ok(title, held);
  } catch (error) {
    return skipped(title, wordsOf(error));
  }
}
