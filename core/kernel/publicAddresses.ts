import { BlockList, isIP } from "node:net";

/** What is no address of a host in the public internet (IANA's registries of special-purpose addresses). */
const special: readonly (readonly [string, number])[] = [
  ...(["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"] as const),
  ...(["192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"] as const),
  ...(["192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"] as const),
  ...(["224.0.0.0/4", "240.0.0.0/4"] as const),
  // Of what is given out at all (2000::/3): tunnels that lead to any IPv4 address, and documentation.
  ...(["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"] as const),
].map((text) => {
  const [network = "", bits = "0"] = text.split("/");
  return [network, Number(bits)];
});

const blocked = new BlockList();
for (const [network, bits] of special) blocked.addSubnet(network, bits, network.includes(":") ? "ipv6" : "ipv4");

/** Only these IPv6 addresses are given out; mapped, translated, local and multicast ones are all outside. */
const givenOut = new BlockList();
givenOut.addSubnet("2000::", 3, "ipv6");

const linkLocal = new BlockList();
linkLocal.addSubnet("169.254.0.0", 16, "ipv4");
linkLocal.addSubnet("fe80::", 10, "ipv6");
linkLocal.addSubnet("::ffff:169.254.0.0", 112, "ipv6");
linkLocal.addAddress("fd00:ec2::254", "ipv6");

/** True for the address of a host that anybody in the internet could reach. */
export function isPublicAddress(address: string): boolean {
  const version = isIP(address);
  if (version === 4) return !blocked.check(address, "ipv4");
  return version === 6 && givenOut.check(address, "ipv6") && !blocked.check(address, "ipv6");
}

/** True where clouds answer any program on a machine with the machine's own credentials. */
export function isMetadataAddress(address: string): boolean {
  const version = isIP(address);
  return version !== 0 && linkLocal.check(address, version === 4 ? "ipv4" : "ipv6");
}

/** The host of a URL as an address, undefined when it is a name. URLs know one notation of an address alone. */
export function literalAddress(url: URL): string | undefined {
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return isIP(host) === 0 ? undefined : host;
}
