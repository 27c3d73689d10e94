// Holds an API's answers against the schemas that Blockfrost publishes.
//
// Reads {url, visits: [{path, at, status}]} as JSON from standard input: the API's base URL, and for each visit the
// path as Blockfrost's specification writes it, where to go, and the status that is expected. Writes {problems, empty,
// unvisited}: answers that break their schema, paths whose every list was empty, and paths of Cardano's that nobody
// visited.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import Ajv from "ajv";

// Services beside the chain, and what is posted.
const NOT_READ = ["/ipfs", "/midnight", "/nutlink", "/metrics", "/tx/submit", "/utils/txs/evaluate"];

const require = createRequire(import.meta.url);
const schemas = JSON.parse(readFileSync(require.resolve("@blockfrost/openapi/json-schema.json")));
const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });

const { url, visits } = JSON.parse(await text(process.stdin));
const problems = [];
const filled = new Set();
for (const visit of visits) await check(visit);
const visited = new Set(visits.map(({ path }) => path));
const answered = new Set(visits.filter(({ status }) => status === 200).map(({ path }) => path));
const empty = [...answered].filter((path) => !filled.has(path));
const unvisited = Object.keys(schemas).filter(
  (path) => !visited.has(path) && !NOT_READ.some((other) => path.startsWith(other)),
);
console.log(JSON.stringify({ problems, empty, unvisited }));

async function check({ path, at, status }) {
  const response = await fetch(url + at);
  const body = await response.text();
  const problem = (what) => problems.push(`GET ${at}: ${what}: ${body.slice(0, 2_000)}`);
  if (response.status !== status) return problem(`status ${response.status} instead of ${status}`);
  if (!response.headers.get("content-type")?.startsWith("application/json")) return problem("no JSON by its type");
  const schema = schemas[path]?.response[status] ?? schemas["/"].response[400];
  if (status === 200 && !schemas[path]) return problem("no such path in the specification");
  const answer = JSON.parse(body);
  const valid = ajv.compile(closed(schema));
  if (!valid(answer)) problem(ajv.errorsText(valid.errors));
  if (status === 200 && !(Array.isArray(answer) && answer.length === 0)) filled.add(path);
}

// The same schema without room for fields that it does not name: clients build records out of all that they are sent.
function closed(schema) {
  if (Array.isArray(schema)) return schema.map(closed);
  if (schema === null || typeof schema !== "object") return schema;
  const { nullable, ...rest } = schema;
  // OpenAPI's own word, which JSON schemas know only beside a type, and which widens no list of allowed values.
  if (nullable) return { anyOf: [closed(rest), { type: "null" }] };
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  if (schema.type === "object" && schema.properties && schema.additionalProperties === undefined) {
    copy.additionalProperties = false;
  }
  return copy;
}
