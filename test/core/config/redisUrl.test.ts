import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { parseEnv } from "#core/config/load.ts";
import { parseRedisUrl } from "#core/config/redisUrl.ts";
import { isLockstepError } from "#core/kernel/errors.ts";

describe("REDIS_URL", () => {
  it("names one server, sentinels or nodes of a cluster, with what they ask for", () => {
    const plain = (url: string) => {
      const { password, sentinel, ...rest } = parseRedisUrl(url);
      return { ...rest, password: password?.reveal(), ofSentinels: sentinel.password?.reveal() };
    };
    const none = { password: undefined, ofSentinels: undefined };
    assert.deepEqual(plain("redis://a"), { kind: "single", nodes: [{ host: "a", port: 6379 }], db: 0, ...none });
    assert.deepEqual(plain("rediss://u:p%40%2F@[::1]:1/3"), {
      ...{ kind: "single", nodes: [{ host: "::1", port: 1 }], db: 3, tls: {}, username: "u" },
      ...{ password: "p@/", ofSentinels: undefined },
    });
    const nodes = [
      { host: "s1", port: 26379 },
      { host: "s2", port: 9 },
    ];
    assert.deepEqual(plain("redis+sentinel://:p@s1,s2:9/jobs/2?sentinelPassword=q%26&sentinelUsername=w"), {
      ...{ kind: "sentinel", nodes, name: "jobs", db: 2, password: "p", ofSentinels: "q&" },
    });
    assert.deepEqual(plain("rediss+cluster://s1:26379,s2:9?ca=/etc/ca.pem"), {
      ...{ kind: "cluster", nodes, db: 0, tls: { ca: "/etc/ca.pem" }, ...none },
    });
  });

  it("is refused with the variable's name and without what it holds", () => {
    const secret = "very-secret";
    for (const url of [
      ...["http://h", "redis://", "redis:h", `redis://:${secret}@h:0`, `redis://:${secret}@h:99999`, "redis://a,b"],
      ...[`redis://:${secret}@h/x`, "redis://h/0/1", `redis+sentinel://:${secret}@h`, "redis+sentinel://h/"],
      ...["redis+cluster://h/1", `redis://h?password=${secret}`, `redis://h?ca=${secret}`, "rediss://h?cert=a"],
      ...[`redis://h?sentinelPassword=${secret}`, `redis://:${secret}%@h`, `redis://:${secret}@@h`, "redis://[::x]"],
      ...["redis+other://h", "redis://a,,b", "rediss://h?ca=a&ca=b", "redis+cluster://h:1,", `redis://:${secret}#@h`],
    ]) {
      process.env.REDIS_URL = url;
      try {
        assert.throws(parseEnv, (error) => {
          assert.ok(isLockstepError(error, "config-invalid"), url);
          assert.match(error.message, /^environment: REDIS_URL: ./);
          assert.equal(error.details.field, "REDIS_URL");
          assert.doesNotMatch(inspect(error, { depth: 9 }), new RegExp(secret));
          return true;
        });
      } finally {
        delete process.env.REDIS_URL;
      }
    }
  });

  it("does not show its passwords", () => {
    const place = parseRedisUrl("redis+sentinel://u:first@h/n?sentinelPassword=second");
    assert.doesNotMatch(inspect(place, { depth: 9 }) + JSON.stringify(place), /first|second/);
  });
});
