import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

export type Schema = { readonly [keyword: string]: unknown };
type Media = { readonly schema: Schema; readonly example?: unknown };
export type Answer = {
  readonly description: string;
  readonly content?: Readonly<Record<string, Media>>;
  readonly headers?: Readonly<Record<string, unknown>>;
};
export type Operation = {
  readonly operationId?: string;
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly security?: readonly Readonly<Record<string, unknown>>[];
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, Answer | { readonly $ref: string }>>;
};
export type Document = {
  readonly openapi: string;
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
};

/** What a document says of itself: its operations, what its references lead to, and whether a value fits a schema. */
export function readDocument(document: Document) {
  const ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, allErrors: true });
  ajv.addFormat("date-time", { validate: (text: string) => !Number.isNaN(Date.parse(text)) });
  ajv.addFormat("uri", { validate: (text: string) => URL.canParse(text) });
  ajv.addKeyword("example");
  const root = "https://lockstep.test/openapi.json";
  // The document is no schema itself, so what is referred to is found below one that holds it.
  ajv.addSchema({ $id: root, components: document.components } as object, root, false, false);
  ajv.addVocabulary(["components"]);
  const compiled = new WeakMap<Schema, ValidateFunction>();

  const follow = (ref: string): unknown =>
    ref
      .slice(2)
      .split("/")
      .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key.replaceAll("~1", "/")], document);

  function validator(schema: Schema): ValidateFunction {
    const known = compiled.get(schema);
    if (known) return known;
    const local = JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', `"${root}#/components/`)) as Schema;
    const made = ajv.compile(local);
    compiled.set(schema, made);
    return made;
  }

  return {
    operations: Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
    ),
    follow,
    /** What is wrong with a value, in words; undefined where nothing is. */
    misfit(schema: Schema, value: unknown): string | undefined {
      const validate = validator(schema);
      return validate(value) ? undefined : JSON.stringify(validate.errors?.slice(0, 3));
    },
    answerOf(operation: Operation, status: number | string): Answer | undefined {
      const found = operation.responses[String(status)];
      return found && "$ref" in found ? (follow(found.$ref) as Answer) : found;
    },
  };
}

export type ReadDocument = ReturnType<typeof readDocument>;
