/** Takes out of openapi.json what a request for a flow must look like, so that the page carries that part alone. */
import { readFileSync, writeFileSync } from "node:fs";

const ROOT = "FlowIn";
const PREFIX = "#/components/schemas/";
/** Words for people; they check nothing, and the types have them. */
const WORDS = new Set(["title", "description", "examples", "default"]);

const { components } = JSON.parse(readFileSync("openapi.json", "utf8"));
const taken = {};
take(ROOT);
const schema = { $ref: `#/$defs/${ROOT}`, $defs: taken };
writeFileSync("src/api/flow-schema.json", `${JSON.stringify(schema)}\n`);

function take(name) {
  if (name in taken) return;
  taken[name] = {};
  taken[name] = translated(components.schemas[name]);
}

function translated(node, isNames = false) {
  if (Array.isArray(node)) return node.map((each) => translated(each));
  if (node === null || typeof node !== "object") return node;
  const result = {};
  for (const [key, value] of Object.entries(node)) {
    // Below `properties` the keys are names that the API has chosen, and one of them may be `title`.
    if (!isNames && WORDS.has(key)) continue;
    if (!isNames && key === "$ref") {
      const name = value.slice(PREFIX.length);
      take(name);
      result[key] = `#/$defs/${name}`;
    } else {
      result[key] = translated(value, !isNames && key === "properties");
    }
  }
  return result;
}
