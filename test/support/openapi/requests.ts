import fc from "fast-check";
import type { Operation, ReadDocument, Schema } from "./document.ts";

/** A request as it goes out, to the byte. */
export type FuzzRequest = {
  readonly method: string;
  /** Of the document, with `{name}`. */
  readonly path: string;
  readonly target: string;
  readonly contentType: string | undefined;
  readonly body: string | undefined;
};

/** Values that mean something where it runs, by the name of their field or parameter. */
export type Known = Readonly<Record<string, readonly unknown[]>>;

const hostileTexts = [
  "",
  " ",
  "__proto__",
  "constructor",
  "toString",
  "' or 1=1; drop table swaps; --",
  "$1::text",
  "%00",
  "\u0000",
  "\u0007\u001b[2J",
  "a\r\nx-injected: yes",
  "<script>alert(1)</script>",
  '"><img src=x onerror=alert(1)>',
  "../../etc/passwd",
  "..%2f..%2fetc%2fpasswd",
  "\ud800",
  "\u202e\u0000\uffff",
  "𝒶".repeat(60),
  "x".repeat(5_000),
  "9".repeat(400),
  "-1",
  "1e400",
  "0x",
  `0x${"f".repeat(64)}`,
  "NaN",
];
const hostile: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom<unknown>(...hostileTexts) },
  {
    weight: 3,
    arbitrary: fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 1e308, 2 ** 53, [], {}, [[[]]], { __proto__x: 1 }),
  },
  { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
  { weight: 1, arbitrary: fc.json({ maxDepth: 3 }).map((text) => JSON.parse(text) as unknown) },
);

/** Values that fit a schema, drawn from what is known where there is any. */
function fitting(read: ReadDocument, schema: Schema, known: Known, field = "", depth = 0): fc.Arbitrary<unknown> {
  const inner = (part: unknown, name = field) => fitting(read, part as Schema, known, name, depth + 1);
  const { $ref, anyOf, oneOf, allOf, type, properties, required = [] } = schema as Record<string, never>;
  const meant = known[field];
  if (meant && depth > 0 && type !== "object") return fc.constantFrom(...meant);
  if (typeof $ref === "string") return inner(read.follow($ref));
  const choices = (anyOf ?? oneOf) as readonly Schema[] | undefined;
  if (choices) return fc.oneof(...choices.map((each) => inner(each)));
  if (allOf) return inner((allOf as Schema[])[0]);
  if ("const" in schema) return fc.constant(schema.const);
  if (Array.isArray(schema.enum)) return fc.constantFrom(...(schema.enum as unknown[]));
  const { minimum = 0, maximum = 2 ** 31, pattern, items } = schema as Record<string, never>;
  switch (type as string | undefined) {
    case "object":
      return fc.record(
        Object.fromEntries(
          Object.entries((properties ?? {}) as object).map(([name, part]) => [name, inner(part, name)]),
        ),
        { requiredKeys: required as never[] },
      );
    case "array":
      return fc.array(inner(items), { maxLength: 3 });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "integer":
      return fc.integer({ min: Math.max(minimum, -(2 ** 31)), max: Math.min(maximum, 2 ** 31) });
    case "number":
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case "string":
      return pattern ? fc.stringMatching(new RegExp(pattern)) : fc.string({ maxLength: 20 });
    default:
      return hostile;
  }
}

/** The value with something at one place in it changed, left out or added. */
function spoiled(value: unknown): fc.Arbitrary<unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return hostile;
  const names = Object.keys(value);
  const within = names.map((name) =>
    spoiled((value as Record<string, unknown>)[name]).map((inner) => ({ ...value, [name]: inner })),
  );
  const without = names.map((name) =>
    fc.constant(Object.fromEntries(Object.entries(value).filter(([each]) => each !== name))),
  );
  const extra = fc
    .tuple(fc.constantFrom("__proto__", "constructor", "extra", "id", "toString", "' or 1=1"), hostile)
    .map(
      ([name, added]) =>
        JSON.parse(
          JSON.stringify(value).replace(
            "{",
            `{${JSON.stringify(name)}:${JSON.stringify(added)}${names.length ? "," : ""}`,
          ),
        ) as unknown,
    );
  return fc.oneof(hostile, extra, ...within, ...without);
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));

/** Without lone surrogates, which no URL can carry. */
const encoded = (value: unknown): string => encodeURIComponent(textOf(value).toWellFormed());

/** Requests of an operation: some that fit, some nearly, some that nobody should send. */
export function requestsOf(
  read: ReadDocument,
  { path, method, operation }: { path: string; method: string; operation: Operation },
  known: Known,
): fc.Arbitrary<FuzzRequest> {
  const maybe = (fit: fc.Arbitrary<unknown>, weight = 1) =>
    fc.oneof({ weight: 4, arbitrary: fit }, { weight, arbitrary: fit.chain(spoiled) });
  const parameters = operation.parameters ?? [];
  const of = (where: string) => parameters.filter((each) => each.in === where);
  const inPath = fc.record(
    Object.fromEntries(of("path").map(({ name, schema }) => [name, maybe(fitting(read, schema, known, name, 1))])),
  );
  const named = of("query").map(({ name, schema }) =>
    maybe(fitting(read, schema, known, name, 1)).map((value) => `${name}=${encoded(value)}`),
  );
  const unnamed = fc.tuple(hostile, hostile).map(([name, value]) => `${encoded(name)}=${encoded(value)}`);
  const query = fc.oneof(
    { weight: 3, arbitrary: named.length > 0 ? fc.array(fc.oneof(...named), { maxLength: 3 }) : fc.constant([]) },
    { weight: 1, arbitrary: fc.array(fc.oneof(unnamed, ...named), { maxLength: 3 }) },
  );
  const schema = operation.requestBody?.content["application/json"]?.schema;
  const fit = schema ? fitting(read, schema, known) : fc.constant(undefined);
  const body = fc.oneof(
    { weight: 8, arbitrary: maybe(fit, 3).map((value) => (value === undefined ? undefined : JSON.stringify(value))) },
    {
      weight: 1,
      arbitrary: fc.constantFrom("{", "[]", "null", "", "\u0000", '{"__proto__":{"a":1}}', "[".repeat(9_000)),
    },
  );
  const contentType = fc.oneof(
    { weight: 12, arbitrary: fc.constant("application/json") },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "text/plain",
        "application/xml",
        "multipart/form-data",
        "application/json; charset=utf-7",
      ),
    },
  );
  return fc.tuple(inPath, query, method === "GET" ? fc.constant(undefined) : body, contentType).map(
    ([values, pairs, text, type]): FuzzRequest => ({
      ...{ method, path, body: text, contentType: text === undefined ? undefined : type },
      // Nothing at all in a place of the path is another path.
      target:
        path.replaceAll(
          /\{(\w+)\}/g,
          (_, name: string) => encoded((values as Record<string, unknown>)[name]) || "%20",
        ) + (pairs.length > 0 ? `?${pairs.join("&")}` : ""),
    }),
  );
}
