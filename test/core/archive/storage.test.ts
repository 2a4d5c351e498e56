import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createFolderStorage } from "#core/archive/folder.ts";
import { checkPacked, lineOf, pack } from "#core/archive/format.ts";
import { createS3Storage } from "#core/archive/s3.ts";
import type { ArchiveStorage } from "#core/archive/storage.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import { s3Keys, startS3Server } from "#test/support/s3Server.ts";

type Opened = { readonly storage: ArchiveStorage; close(): Promise<void> };

const withCode = (code: string) => (error: unknown) => isLockstepError(error) && error.code === code;
const damaged = withCode("archive-damaged");
const unreachable = withCode("archive-unreachable");
const bytes = Buffer.from(Array.from({ length: 5_000 }, (_, n) => n % 251));
const name = "message/2026/01/1-ab.ndjson.gz";

async function openFolder(): Promise<Opened & { readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), "lockstep-storage-"));
  const close = () => rm(folder, { recursive: true, force: true });
  return { folder, storage: createFolderStorage(join(folder, "in", "here")), close };
}

async function openS3(options: Partial<Parameters<typeof createS3Storage>[0]> = {}) {
  const server = await startS3Server("cold", "eu-test-1");
  const storage = createS3Storage({
    ...{ endpoint: server.endpoint, region: "eu-test-1", bucket: "cold", prefix: "lock/step", timeoutMs: 2_000 },
    accessKeyId: redact(s3Keys.accessKeyId),
    secretAccessKey: redact(s3Keys.secretAccessKey),
    ...options,
  });
  return { server, storage, close: server.close };
}

for (const [what, open] of [
  ["a folder", openFolder],
  ["a bucket", openS3],
] as const)
  describe(`a store of archived files in ${what}`, () => {
    let opened: Opened;
    before(async () => {
      opened = await open();
    });
    after(() => opened.close());

    it("gives back what was put, whole and in parts, and takes the same again", async () => {
      const { storage } = opened;
      await storage.put(name, bytes);
      await storage.put(name, bytes);
      assert.deepEqual(await storage.read(name), bytes);
      for (const [start, length] of [
        [0, 1],
        [10, 4_000],
        [4_999, 1],
        [0, 5_000],
      ] as const) {
        assert.deepEqual(await storage.read(name, { start, length }), bytes.subarray(start, start + length));
      }
      await storage.put("empty.json", Buffer.alloc(0));
      assert.equal((await storage.read("empty.json")).length, 0);
    });

    it("says that something is not there, or shorter than it should be", async () => {
      const { storage } = opened;
      await storage.put(name, bytes);
      await assert.rejects(storage.read("message/none.json"), damaged);
      await assert.rejects(storage.read("message/none.json", { start: 0, length: 1 }), damaged);
      await assert.rejects(storage.read(name, { start: 4_999, length: 2 }), damaged);
      await assert.rejects(storage.read(name, { start: 6_000, length: 1 }), damaged);
    });

    it("removes, once and again", async () => {
      const { storage } = opened;
      await storage.put("gone.json", bytes);
      await storage.remove("gone.json");
      await storage.remove("gone.json");
      await assert.rejects(storage.read("gone.json"), damaged);
    });

    it("keeps to itself", async () => {
      for (const other of ["../out", "/etc/passwd", "a/../../b", "a//b", "A", ".hidden", ""]) {
        await assert.rejects(opened.storage.put(other, bytes), RangeError);
        await assert.rejects(opened.storage.read(other), RangeError);
      }
    });
  });

describe("a folder of archived files", () => {
  it("has no half of a file under its name, and says when it cannot be written to", async () => {
    const { storage, folder, close } = await openFolder();
    try {
      await storage.put(name, bytes);
      assert.deepEqual(await readdir(join(folder, "in", "here", "message", "2026", "01")), ["1-ab.ndjson.gz"]);
      await assert.rejects(storage.read("message/2026/01/2-ab.ndjson.gz"), damaged);
      await mkdir(join(folder, "empty"));
      for (const away of ["empty", "nowhere"]) {
        await assert.rejects(createFolderStorage(join(folder, away)).read(name), unreachable, away);
      }
      await writeFile(join(folder, "file"), "");
      await assert.rejects(createFolderStorage(join(folder, "file")).put(name, bytes), unreachable);
    } finally {
      await close();
    }
  });
});

describe("a bucket of archived files", () => {
  const withServer = async (
    work: (world: Awaited<ReturnType<typeof openS3>>) => Promise<void>,
    options?: Parameters<typeof openS3>[0],
  ) => {
    const world = await openS3(options);
    try {
      await work(world);
    } finally {
      await world.close();
    }
  };

  it("is asked under its prefix with signatures that another implementation takes", () =>
    withServer(async ({ storage, server }) => {
      await storage.put(name, bytes);
      assert.deepEqual([...server.objects.keys()], [`lock/step/${name}`]);
      assert.deepEqual(server.seen, [`PUT /cold/lock/step/${name}`]);
    }));

  it("refuses wrong keys and regions, and names neither", async () => {
    for (const wrong of [{ secretAccessKey: redact("other") }, { accessKeyId: redact("OTHER") }, { region: "x" }]) {
      await withServer(async ({ storage }) => {
        await assert.rejects(storage.put(name, bytes), (error) => {
          assert.ok(unreachable(error));
          const text = JSON.stringify(error, Object.getOwnPropertyNames(error));
          assert.match(text, /403 (InvalidAccessKeyId|SignatureDoesNotMatch)/);
          return !text.includes(s3Keys.secretAccessKey) && !text.includes("OTHER") && !text.includes("AWS4");
        });
      }, wrong);
    }
  });

  it("is away when it answers with errors, breaks off, hangs or is not there", () =>
    withServer(
      async ({ storage, server }) => {
        await storage.put(name, bytes);
        server.fail({ status: 500 }, { status: 503 }, "cut", "hang");
        await assert.rejects(storage.put(name, bytes), unreachable);
        for (let n = 0; n < 3; n++) await assert.rejects(storage.read(name), unreachable);
        assert.deepEqual(await storage.read(name), bytes, "and back again");
        await server.close();
        await assert.rejects(storage.read(name), unreachable);
        await assert.rejects(storage.remove(name), unreachable);
      },
      { timeoutMs: 500 },
    ));

  it("may send the whole where a part was asked for, and other bytes, which their hash tells", () =>
    withServer(async ({ storage, server }) => {
      const packed = await pack(["one", "two"]);
      await storage.put(name, packed.bytes);
      server.fail("ignores-range");
      assert.deepEqual(await storage.read(name, { start: 2, length: 3 }), packed.bytes.subarray(2, 5));
      server.fail("turned");
      await assert.rejects(checkPacked(await storage.read(name), packed), damaged);
      await checkPacked(await storage.read(name), packed);
    }));
});

describe("lines of an archived file", () => {
  it("are found by their places, however they are spread over parts", async () => {
    const lines = Array.from({ length: 300 }, (_, n) => JSON.stringify({ n, text: "ä".repeat((n * 37) % 3_000) }));
    const packed = await pack(lines);
    assert.ok(new Set(packed.places.map(({ partStart }) => partStart)).size > 3);
    for (const [index, place] of packed.places.entries()) {
      const part = packed.bytes.subarray(place.partStart, place.partStart + place.partLength);
      assert.equal(await lineOf(part, place), lines[index]);
    }
    await checkPacked(packed.bytes, packed);
    const [first, second] = packed.places;
    assert.ok(first && second);
    const part = packed.bytes.subarray(first.partStart, first.partStart + first.partLength);
    await assert.rejects(
      lineOf(part, { ...first, lineStart: second.lineStart, lineLength: second.lineLength }),
      damaged,
    );
    await assert.rejects(checkPacked(packed.bytes.subarray(1), packed), damaged);
  });
});
