/**
 * Routes that say in schemas what they take and give: their handlers get what has been checked, with its type, and
 * `/openapi.json` is made of the same schemas. Everything else of a route is as for any other: bodies arrive as bytes
 * (those with a schema are read as JSON here), answers are written by `Answers`, errors are thrown.
 *
 *     registerTyped(server, (routes) => routes.get("/v1/…", { schema: { … } }, async (request, reply) => …))
 *
 * Not for the Durable Streams routes and the frames: there, nothing may stand between a body and the log.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyRequest,
  FastifySchemaCompiler,
  RawServerDefault,
} from "fastify";
import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { text } from "../../src/lib/bytes.ts";
import { parseExactJson } from "../../src/record/exact-json.ts";
import { bodyOf } from "./body.ts";
import { checkJsonEncoding, JSON_CONTENT_TYPE, mediaType, normalizeContentType } from "./content-type.ts";
import { parseInteger } from "./header-values.ts";
import { HttpError } from "./http-error.ts";

export type TypedServer = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** Printable ASCII, as everywhere in a URL (W10). */
const QUERY_CHARACTERS = /^[!-~]*$/;

export function registerTyped(server: FastifyInstance, routes: (server: TypedServer) => void): void {
  server.register((scope, _options, done) => {
    scope.setValidatorCompiler(compile);
    // Answers are written by hand; their schemas are for `/openapi.json`.
    scope.setSerializerCompiler(() => JSON.stringify);
    scope.addHook("preValidation", (request, _reply, done) => {
      if (!isReadable(request.raw.url ?? ""))
        return done(new HttpError("malformed-url", "the query is not percent-encoded UTF-8"));
      if (request.routeOptions.schema?.body === undefined) return done();
      const bytes = bodyOf(request);
      try {
        request.body = jsonBody(request);
        if (bytes.length > EXPLAINED_BYTES_MAX && isObject(request.body)) UNEXPLAINED.add(request.body);
      } catch (error) {
        return done(error as HttpError);
      }
      return done();
    });
    routes(scope.withTypeProvider<TypeBoxTypeProvider>());
    done();
  });
}

/** Whether a query means one text only: the router takes what it cannot decode for the text itself. */
function isReadable(url: string): boolean {
  const start = url.indexOf("?");
  if (start < 0) return true;
  const query = url.slice(start);
  if (!QUERY_CHARACTERS.test(query)) return false;
  if (!query.includes("%")) return true;
  try {
    decodeURIComponent(query);
    return true;
  } catch {
    return false;
  }
}

/** A body that is JSON, as its sender must say; no body stands for one without members. */
function jsonBody(request: FastifyRequest): unknown {
  const bytes = bodyOf(request);
  if (bytes.length === 0) return {};
  const contentType = normalizeContentType(request.raw.headers["content-type"] ?? "");
  if (contentType === undefined || mediaType(contentType) !== JSON_CONTENT_TYPE)
    throw new HttpError("unsupported-media-type", `a body is sent here as ${JSON_CONTENT_TYPE}`);
  checkJsonEncoding(contentType);
  return parseJson(bytes);
}

export function parseJson(bytes: Uint8Array): unknown {
  const source = text(bytes);
  if (source === undefined) throw new HttpError("malformed-json", "the body is not valid UTF-8");
  const parsed = parseExactJson(source);
  if (!parsed.ok) {
    const { kind, message } = parsed.error;
    throw new HttpError("malformed-json", kind === "inexact" ? message : "the body is not valid JSON");
  }
  return parsed.value;
}

/** That a body is wrong shows at once; what all is wrong with it may take long to find. */
const EXPLAINED_BYTES_MAX = 64 * 1_024;
const UNEXPLAINED = new WeakSet<object>();

const compile: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const check = Compile(schema);
  const isBody = httpPart === "body";
  return (value: unknown) => {
    const given = isBody ? value : numbersOf(schema, value as Readonly<Record<string, unknown>>);
    if (check.Check(given)) return { value: given };
    const [first] = isObject(given) && UNEXPLAINED.has(given) ? [] : check.Errors(given);
    const where = first?.instancePath === undefined || first.instancePath === "" ? "" : ` at ${first.instancePath}`;
    const what = isBody ? "the body" : "the query";
    // A key that no schema is for is said to have one that nothing fits.
    const isUnknown = first?.keyword === "boolean";
    const why = first?.message ?? "is not what /openapi.json says, and too large to say where";
    const message = `${what}${where}: ${isUnknown ? "is not known here" : why}`;
    return { error: new HttpError(isBody ? "malformed-request" : "malformed-url", message.toWellFormed()) };
  };
};

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** A query's values are texts; those that are plain integers stand for them where the schema has an integer. */
function numbersOf(schema: TSchema, query: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const properties = "properties" in schema ? (schema.properties as Readonly<Record<string, TSchema>>) : {};
  return Object.fromEntries(
    Object.entries(query).map(([name, value]) => {
      const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
      const isInteger = property !== undefined && "type" in property && property.type === "integer";
      return [name, isInteger && typeof value === "string" ? (parseInteger(value) ?? value) : value];
    }),
  );
}
