import { STATUS_CODES } from "node:http";
import { type ErrorCode, errorTable } from "../kernel/errors.ts";
import { glossary } from "./glossary.ts";
import { problemSchema } from "./problem.ts";

/** A body and an answer as they are on the wire. */
export type RouteExamples = { readonly body?: object; readonly answer?: object };

/** What the document says of a route beyond its schemas. */
export type Described = {
  readonly errors: ReadonlySet<ErrorCode>;
  readonly examples?: RouteExamples | undefined;
  readonly location?: string | undefined;
};

type Media = { schema?: unknown; example?: unknown };
type Content = { content?: Record<string, Media> };
type Response = Content & { description?: string; $ref?: string; headers?: object };
type Operation = { requestBody?: Content; responses?: Record<string, Response> };
export type OpenApi = {
  paths?: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, unknown>; responses?: Record<string, unknown> };
};

const json = "application/json";
const schemas = "#/components/schemas/";
const problem = { $ref: `${schemas}${problemSchema.meta()?.id}` };

/** The name of a route in the document: its method and path with parameters as `{name}`. */
export const documentKey = (method: string, url: string): string =>
  `${method.toLowerCase()} ${url.replaceAll(/:(\w+)/g, "{$1}")}`;

/**
 * Adds to the OpenAPI document what zod schemas do not say: for each status of a problem the codes that the route may
 * answer with, and an example of the body and of the answer.
 */
export function describeRoutes<T extends OpenApi>(document: T, routes: ReadonlyMap<string, Described>): T {
  const responses: Record<string, unknown> = {};
  for (const [path, operations] of Object.entries(document.paths ?? {})) {
    for (const [method, operation] of Object.entries(operations)) {
      const described = routes.get(documentKey(method, path));
      if (!described) continue;
      giveExamples(operation, described.examples ?? {});
      tellAnswer(operation, described.location);
      operation.responses ??= {};
      for (const [status, codes] of Map.groupBy(described.errors, (code) => String(errorTable[code].status))) {
        const sorted = codes.toSorted();
        const name = [status, ...sorted].join(".");
        responses[name] = problemOf(sorted);
        const own = operation.responses[status];
        operation.responses[status] = own
          ? { ...own, content: { ...own.content, ...problemOf(sorted).content } }
          : { $ref: `#/components/responses/${name}` };
      }
    }
  }
  const whole = withoutUnused({ ...document, components: { ...document.components, responses } });
  for (const [name, schema] of Object.entries(whole.components?.schemas ?? {})) {
    explain(schema, name.replace(/Input$/, ""));
  }
  explain(whole.paths, "");
  return whole;
}

/** Gives fields and parameters without a description the one that their name has everywhere. */
function explain(value: unknown, within: string): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const each of value) explain(each, within);
    return;
  }
  const { properties, name, schema, ...rest } = value as Record<string, Record<string, Record<string, unknown>>>;
  if (typeof name === "string" && schema) tell(value, name, within);
  for (const [field, inner] of Object.entries(properties ?? {})) {
    tell(inner, field, within);
    explain(inner, field);
  }
  explain(schema, within);
  for (const [key, inner] of Object.entries(rest)) if (key !== "example" && key !== "enum") explain(inner, within);
}

function tell(value: object, name: string, within: string): void {
  if ("description" in value || ("schema" in value && "description" in (value.schema as object))) return;
  const words = glossary[`${within}.${name}`] ?? glossary[name];
  if (words !== undefined) Object.assign(value, { description: words });
}

/** Every schema is there as it is taken and as it is given; what no route shows is left out. */
function withoutUnused<T extends OpenApi>(document: T): T {
  const { schemas: all = {}, ...others } = document.components ?? {};
  const used = new Set<string>();
  const look = (value: unknown): void => {
    for (const [, name = ""] of JSON.stringify(value).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (used.has(name)) continue;
      used.add(name);
      look(all[name]);
    }
  };
  look([document.paths, others]);
  const schemas = Object.fromEntries(Object.entries(all).filter(([name]) => used.has(name)));
  return { ...document, components: { ...others, schemas } };
}

function giveExamples({ requestBody, responses = {} }: Operation, { body, answer }: RouteExamples): void {
  const taken = requestBody?.content?.[json];
  if (taken && body !== undefined) taken.example = body;
  for (const [status, response] of Object.entries(responses)) {
    const given = response.content?.[json];
    if (given && answer !== undefined && status.startsWith("2")) given.example = answer;
  }
}

function tellAnswer({ responses = {} }: Operation, location: string | undefined): void {
  for (const [status, response] of Object.entries(responses)) {
    response.description = STATUS_CODES[status] ?? status;
    if (location === undefined || !status.startsWith("2")) continue;
    response.headers = { location: { description: "Where it is found from now on", schema: { type: "string" } } };
  }
}

/** A problem whose code is one of these; all have the same status. */
function problemOf(codes: readonly ErrorCode[]): Response {
  const lines = codes.map((code) => `- \`${code}\`: ${errorTable[code].title}`);
  return {
    description: [...lines, "", "All codes: docs/errors.md"].join("\n"),
    content: {
      "application/problem+json": {
        schema: { allOf: [problem, { type: "object", properties: { code: { enum: codes } } }] },
      },
    },
  };
}
