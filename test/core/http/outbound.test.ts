import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { createOutbound, type OutboundOptions } from "#core/http/outbound.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { createPostJson } from "#core/kernel/postJson.ts";
import { isMetadataAddress, isPublicAddress } from "#core/kernel/publicAddresses.ts";

const message = { body: "{}", headers: {} };
const open = (options: Partial<OutboundOptions> = {}) =>
  createOutbound({ ports: [443, 8443], allowHosts: [], timeoutMs: 2_000, ...options });
const refused = (error: unknown) => isLockstepError(error, "url-refused");

/** Hosts of URLs that lead into private networks, in every notation that a URL has for them. */
const privateHosts = [
  ...[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "127.0.0.1.",
  ],
  ...[
    "127.255.255.254",
    "0.0.0.0",
    "0",
    "0x0",
    "10.0.0.1",
    "10.255.255.255",
    "012.1.2.3",
    "172.16.0.1",
    "172.31.255.1",
  ],
  ...["192.168.0.1", "3232235521", "0xc0a80001", "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376"],
  ...["100.64.0.1", "100.127.255.255", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9"],
  ...["192.31.196.1", "192.52.193.1", "192.88.99.1", "192.175.48.1"],
  ...["224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "①②⑦.0.0.1", "%31%32%37.0.0.1"],
  ...["[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:169.254.169.254]"],
  ...[
    "[::ffff:8.8.8.8]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::a00:1]",
    "[fe80::1]",
    "[fec0::1]",
    "[fc00::1]",
  ],
  ...["[fd00:ec2::254]", "[ff02::1]", "[2001:db8::1]", "[2002:7f00:1::]", "[2001::1]", "[100::1]", "[3fff::1]"],
];

describe("requests to URLs of users", () => {
  for (const host of privateHosts) {
    it(`are never made to ${host}`, async () => {
      const outbound = open();
      assert.throws(() => outbound.check(`https://${host}/`), refused);
      await assert.rejects(outbound.post(`https://${host}/`, message), refused);
      outbound.close();
    });
  }

  it("are made over https alone, to ports of the list, and carry no credentials", () => {
    const outbound = open();
    for (const url of [
      ...[
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "data:,x",
        "nothing",
      ],
      ...["https://example.com:22/", "https://example.com:80/", "https://a:b@example.com/", "https://a@example.com/"],
      ...["https://example.com/#x", "https://", "javascript:alert(1)", "https://[fe80::1%25eth0]/"],
    ]) {
      assert.throws(() => outbound.check(url), refused, url);
    }
    for (const url of [
      "https://example.com/x?y=1",
      "https://example.com:8443/",
      "https://8.8.8.8/",
      "https://[2606:4700::1]/",
    ])
      outbound.check(url);
  });

  it("know public addresses from all others", () => {
    for (const address of ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "192.169.0.1", "2606:4700::1111"])
      assert.ok(isPublicAddress(address), address);
    for (const address of ["", "localhost", "256.1.1.1", "::ffff:1.1.1.1"])
      assert.ok(!isPublicAddress(address), address);
    for (const address of ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254"])
      assert.ok(isMetadataAddress(address), address);
    for (const address of ["127.0.0.1", "10.0.0.1", "::1", "8.8.8.8"]) assert.ok(!isMetadataAddress(address), address);
  });

  it("are refused where a name leads into a private network, also beside a public address", async () => {
    for (const address of ["127.0.0.1", "169.254.169.254", "10.1.2.3"]) {
      const found = [
        { address: "8.8.8.8", family: 4 },
        { address, family: 4 },
      ];
      for (const answer of [found, found.slice(1)]) {
        const outbound = open({ lookup: async () => answer });
        await assert.rejects(outbound.post("https://innocent.example/", message), refused);
        outbound.close();
      }
    }
  });

  it("are judged where the connection is made: a name that leads elsewhere the second time reaches nothing", async () => {
    let connections = 0;
    const server = createServer().on("connection", () => {
      connections += 1;
    });
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    // The first answer would be public; the one that the connection is made by is not.
    const answers = ["8.8.8.8", "127.0.0.1"];
    const lookup = async () => [{ address: answers.shift() ?? "127.0.0.1", family: 4 }];
    const outbound = open({ ports: [port], lookup });
    outbound.check(`https://rebinding.example:${port}/`);
    await lookup();
    await assert.rejects(outbound.post(`https://rebinding.example:${port}/`, message), refused);
    assert.equal(connections, 0);
    outbound.close();
    server.close();
  });

  describe("to a receiver", () => {
    let server: Server;
    let host: string;
    const seen: string[] = [];
    before(async () => {
      server = createServer((request, response) => {
        seen.push(request.url ?? "");
        if (request.url === "/redirect") response.writeHead(302, { location: `http://${host}/secret` }).end();
        else if (request.url === "/upgrade") {
          response.socket?.end("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: nothing\r\n\r\n");
        } else if (request.url === "/endless") {
          const more = () => response.write(Buffer.alloc(65_536), () => !response.destroyed && setImmediate(more));
          response.on("close", () => seen.push("endless closed"));
          response.on("error", () => undefined);
          response.writeHead(200);
          more();
        } else if (request.url !== "/silent") response.end("ok");
      });
      await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
      host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    after(() => {
      server.closeAllConnections();
      server.close();
    });

    it("end where it answers with another protocol", async () => {
      const outbound = open({ allowHosts: [host], timeoutMs: 300 });
      await assert.rejects(outbound.post(`http://${host}/upgrade`, message), (error) =>
        isLockstepError(error, "receiver-failed"),
      );
      await assert.rejects(createPostJson({ timeoutMs: 300, most: 1_000 })(new URL(`http://${host}/upgrade`), "{}"));
      outbound.close();
    });

    it("follow no redirect, read no endless answer, and wait for no silent one", async () => {
      const outbound = open({ allowHosts: [host], timeoutMs: 300 });
      assert.equal(await outbound.post(`http://${host}/plain`, message), 200);
      assert.equal(await outbound.post(`http://${host}/redirect`, message), 302);
      assert.ok(!seen.includes("/secret"));
      assert.equal(await outbound.post(`http://${host}/endless`, message), 200);
      await new Promise<void>((resolve) => {
        const look = () => (seen.includes("endless closed") ? resolve() : void setImmediate(look));
        look();
      });
      await assert.rejects(
        outbound.post(`http://${host}/silent`, message),
        (error) => isLockstepError(error, "receiver-failed") && error.details.reason === "timeout",
      );
      // Also not a while later.
      assert.ok(!seen.includes("/secret"));
      outbound.close();
    });
  });
});
