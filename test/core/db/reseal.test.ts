import assert from "node:assert/strict";
import { createCipheriv, randomBytes } from "node:crypto";
import { after, before, it } from "node:test";
import fc from "fast-check";
import { migrate } from "#core/db/migrate.ts";
import { createReseal, type SealedTable } from "#core/db/reseal.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { type Redacted, redact } from "#core/kernel/redacted.ts";
import { createSealer } from "#core/kernel/seal.ts";
import { type OpenDatabase, onDatabase } from "../../support/databases.ts";

const key = () => redact<Uint8Array>(randomBytes(32));
const place: SealedTable = { table: "sealed_things", key: ["kind", "name"], context: ([a, b]) => `thing ${a} ${b}` };
const contextOf = (name: string) => place.context(["k", name]);

/** As rows were sealed before keys had ids. */
function sealedOfOld(by: Redacted<Uint8Array>, plain: Uint8Array, context: string): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", by.reveal(), iv).setAAD(Buffer.from(context));
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), body]);
}

await onDatabase("sealing rows anew", (backend) => {
  let database: OpenDatabase;
  const [first, second, third, stranger] = [key(), key(), key(), key()];

  before(async () => {
    database = await backend.open();
    await migrate(database.db, [
      {
        id: "test/001-things",
        sql: "CREATE TABLE sealed_things (kind text, name text, sealed bytea, PRIMARY KEY (kind, name))",
      },
    ]);
  });
  after(() => database.close());

  const plainOf = (name: string) => Buffer.from(`plain ${name}`);
  const ways: readonly ((name: string) => Buffer | null)[] = [
    (name) => sealedOfOld(first, plainOf(name), contextOf(name)),
    (name) => sealedOfOld(second, plainOf(name), contextOf(name)),
    (name) => createSealer(first).seal(plainOf(name), contextOf(name)),
    (name) => createSealer(second, [first]).seal(plainOf(name), contextOf(name)),
    (name) => createSealer(third, [second]).seal(plainOf(name), contextOf(name)),
    () => null,
  ];
  async function fill(kinds: readonly number[]): Promise<void> {
    await database.db.query("TRUNCATE sealed_things");
    await database.db.query("INSERT INTO sealed_things SELECT 'k', * FROM unnest($1::text[], $2::bytea[])", [
      kinds.map((_, at) => `n${at}`),
      kinds.map((kind, at) => ways[kind]?.(`n${at}`) ?? null),
    ]);
  }
  const rows = () =>
    database.db.query<{ name: string; sealed: Buffer | null }>("SELECT name, sealed FROM sealed_things ORDER BY name");
  const latest = createSealer(third, [second, first]);
  const reseal = () => createReseal({ db: database.db, sealer: latest, tables: [place] });

  it("brings rows of every key and layout under the new key alone, killed anywhere and begun again", async () => {
    const story = fc.record({
      kinds: fc.array(fc.nat(ways.length - 1), { maxLength: 25 }),
      batch: fc.integer({ min: 1, max: 7 }),
      kills: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(story, async ({ kinds, batch, kills }) => {
        await fill(kinds);
        for (const after of kills) {
          let batches = 0;
          const onBatch = () => {
            if (++batches > after) throw new Error("killed");
          };
          await reseal()
            .run({ batch, onBatch })
            .catch((error: Error) => assert.equal(error.message, "killed"));
          for (const { name, sealed } of await rows()) {
            if (sealed) assert.deepEqual(latest.open(sealed, contextOf(name)), plainOf(name));
          }
        }
        assert.deepEqual(await reseal().run({ batch }), [{ table: "sealed_things", left: 0, unopened: 0 }]);
        const alone = createSealer(third);
        for (const { name, sealed } of await rows()) {
          assert.equal(sealed === null, kinds[Number(name.slice(1))] === 5, "nothing appears or is lost");
          if (sealed) assert.deepEqual(alone.open(sealed, contextOf(name)), plainOf(name));
        }
      }),
      { numRuns: 20 },
    );
  });

  it("leaves what opens with no key as it is, and counts it", async () => {
    await fill([0, 1, 4]);
    const foreign = createSealer(stranger).seal(plainOf("n9"), contextOf("n9"));
    await database.db.query("INSERT INTO sealed_things VALUES ('k', 'n9', $1)", [foreign]);
    assert.deepEqual(await reseal().run({ batch: 1 }), [{ table: "sealed_things", left: 1, unopened: 1 }]);
    assert.deepEqual((await rows()).find(({ name }) => name === "n9")?.sealed, foreign);
  });

  it("does not undo what is written meanwhile", async () => {
    await fill([0]);
    const written = latest.seal(Buffer.from("later"), contextOf("n0"));
    const { db } = database;
    const racing = {
      ...db,
      query: (async (text: string, params?: unknown[]) => {
        if (text.startsWith("UPDATE")) await db.query("UPDATE sealed_things SET sealed = $1", [written]);
        return db.query(text, params);
      }) as typeof db.query,
    };
    await createReseal({ db: racing, sealer: latest, tables: [place] }).run();
    assert.deepEqual((await rows())[0]?.sealed, written);
  });

  it("tells at the start that a key is missing which rows need, and only then", async () => {
    await fill([0, 2]);
    const opens = (sealer: typeof latest) => createReseal({ db: database.db, sealer, tables: [place] }).assertOpens();
    await opens(latest);
    await opens(createSealer(first));
    await assert.rejects(opens(createSealer(third)), (error) => isLockstepError(error, "config-invalid"));
    await reseal().run();
    await opens(createSealer(third));
    await fill([]);
    await opens(createSealer(stranger));
  });
});
