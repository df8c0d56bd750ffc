/**
 * What is wrong with a text that is to be a request, and where.
 *
 * The syntax and the schema are looked at here, as somebody types; the service has the last word, in its own time. All
 * of them name the place by a JSON pointer, which is looked up in the text.
 */
import { Validator, type OutputUnit, type Schema } from "@cfworker/json-schema";
import { findNodeAtLocation, parseTree, printParseErrorCode, type Node, type ParseError } from "jsonc-parser";
import schema from "../../api/flow-schema.json";
import type { Problem } from "../../api/rest";

export interface Fault {
  /** Empty for the whole, as JSON pointers are. */
  pointer: string;
  detail: string;
  /** The place in the text, in characters. */
  from: number;
  to: number;
}

export interface Reading {
  text: string;
  /** What the text says; undefined while it is not JSON. */
  value: unknown;
  root: Node | undefined;
  isJson: boolean;
  faults: Fault[];
}

/** As many as are worth showing. */
const MOST = 100;
const SYNTAX = { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false };
const SYNTAX_WORDS: Record<string, string> = {
  InvalidSymbol: "This is no JSON value",
  InvalidNumberFormat: "This is no number as JSON has them",
  PropertyNameExpected: "The name of a property is expected, in double quotes",
  ValueExpected: "A value is expected",
  ColonExpected: "A colon is expected",
  CommaExpected: "A comma is expected",
  CloseBraceExpected: "A closing } is expected",
  CloseBracketExpected: "A closing ] is expected",
  EndOfFileExpected: "Here the text should end",
  InvalidCommentToken: "JSON has no comments",
  UnexpectedEndOfComment: "JSON has no comments",
  UnexpectedEndOfString: "A closing quote is expected",
  UnexpectedEndOfNumber: "A digit is expected",
  InvalidUnicode: "\\u needs four hexadecimal digits",
  InvalidEscapeCharacter: "There is no such escape",
  InvalidCharacter: "A character that has to be escaped",
};

const validator = new Validator(schema as unknown as Schema, "2020-12", false);

/** Read the text, and find what its syntax and the schema of requests say against it. */
export function read(text: string): Reading {
  try {
    return readWhole(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const faults = [{ pointer: "", detail: "This is nested too deeply", from: 0, to: Math.min(1, text.length) }];
    return { text, value: undefined, root: undefined, isJson: false, faults };
  }
}

/** The faults that the service names, at their places in the text that it was sent. */
export function serviceFaults(problem: Problem, reading: Reading): Fault[] {
  const named = problem.faults ?? [];
  const faults = named.length > 0 ? named : [{ pointer: "", detail: problem.detail }];
  return inOrder(faults.slice(0, MOST), reading.root, reading.text);
}

function readWhole(text: string): Reading {
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, SYNTAX);
  if (errors.length > 0 || root === undefined) {
    return { text, value: undefined, root, isJson: false, faults: errors.slice(0, MOST).map((error) => syntaxFault(text, error)) };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The browser's own reader is the stricter one.
    const detail = error instanceof Error ? error.message : String(error);
    return { text, value: undefined, root, isJson: false, faults: [{ pointer: "", detail, from: 0, to: text.length }] };
  }
  return { text, value, root, isJson: true, faults: inOrder(schemaFaults(value), root, text) };
}

type Named = Pick<Fault, "pointer" | "detail">;

function syntaxFault(text: string, error: ParseError): Fault {
  const from = Math.min(error.offset, text.length);
  const to = Math.min(from + Math.max(1, error.length), text.length);
  const code = printParseErrorCode(error.error);
  return { pointer: "", detail: SYNTAX_WORDS[code] ?? code, from: Math.min(from, to), to };
}

function schemaFaults(value: unknown): Named[] {
  const told = complaints(value).map(inWords).filter((fault) => fault !== null);
  // Of a wrong value all that it might have been is told as well: the deepest places are meant, and each once.
  const places = new Set(told.map((fault) => fault.pointer));
  const isAbove = (pointer: string) => [...places].some((other) => other !== pointer && other.startsWith(`${pointer}/`));
  const faults = new Map<string, Named>();
  for (const fault of told.slice(0, 10 * MOST)) {
    const known = faults.get(fault.pointer);
    if (known !== undefined) known.detail = either(known.detail, fault.detail);
    else if (faults.size < MOST && !isAbove(fault.pointer)) faults.set(fault.pointer, fault);
  }
  return [...faults.values()];
}

function complaints(value: unknown): OutputUnit[] {
  try {
    return validator.validate(value).errors;
  } catch (error) {
    // It makes addresses of names, and half a surrogate pair cannot be in one. The service will say what it thinks.
    if (error instanceof URIError) return [];
    throw error;
  }
}

/** One of the validator's lines as a fault; null for those that only say that there are others. */
function inWords({ keyword, instanceLocation, error }: OutputUnit): Named | null {
  const pointer = decodeURIComponent(instanceLocation.replace(/^#/, ""));
  switch (keyword) {
    case "$ref":
    case "properties":
    case "additionalProperties":
    case "items":
    case "anyOf":
      return null;
    case "false":
      return { pointer, detail: "is not known here" };
    case "required":
      return { pointer: `${pointer}/${/"(.*)"/.exec(error)?.[1] ?? ""}`, detail: "is required" };
    case "type":
      return { pointer, detail: `must be ${/Expected "(.*)"/.exec(error)?.[1] ?? "of another type"}` };
    case "pattern":
      return { pointer, detail: "has characters that are not allowed here" };
    case "enum":
      return { pointer, detail: error.replace(/^Instance does not match any of \[(.*)\]\.$/, "must be one of $1") };
    case "minLength":
      return { pointer, detail: `must have at least ${/< (\d+)/.exec(error)?.[1] ?? "1"} characters` };
    case "maxLength":
      return { pointer, detail: `must have at most ${/> (\d+)/.exec(error)?.[1] ?? "so many"} characters` };
    case "maxItems":
      return { pointer, detail: `must have at most ${/> (\d+)/.exec(error)?.[1] ?? "so many"} items` };
    default:
      return { pointer, detail: error.replace(/^Instance /, "").replace(/\.$/, "") };
  }
}

const TYPE = /^must be /;

function either(one: string, other: string): string {
  if (one.split(" or ").includes(other.replace(TYPE, "")) || one === other) return one;
  if (!TYPE.test(one) || !TYPE.test(other)) return TYPE.test(other) ? one : TYPE.test(one) ? other : one;
  return `${one} or ${other.replace(TYPE, "")}`;
}

function inOrder(faults: readonly Named[], root: Node | undefined, text: string): Fault[] {
  return faults.map((fault) => placed(fault, root, text)).sort((one, other) => one.from - other.from);
}

/** What is missing stands nowhere: then the place is the nearest thing around it. */
function placed(fault: Named, root: Node | undefined, text: string): Fault {
  const path = pathOf(fault.pointer, root);
  for (let length = path.length; root !== undefined && length >= 0; length -= 1) {
    const node = findNodeAtLocation(root, path.slice(0, length));
    if (node === undefined) continue;
    const isMissing = length < path.length;
    const isUnknown = !isMissing && fault.detail.includes("not known") && node.parent?.type === "property";
    const shown = isUnknown ? (node.parent?.children?.[0] ?? node) : node;
    // Of a whole object only its first line is marked.
    const isLarge = (shown.type === "object" || shown.type === "array") && shown.length > 1;
    const end = isLarge ? shown.offset + 1 : shown.offset + shown.length;
    return { ...fault, from: shown.offset, to: Math.min(end, text.length) };
  }
  return { ...fault, from: 0, to: Math.min(1, text.length) };
}

function pathOf(pointer: string, root: Node | undefined): (string | number)[] {
  const path: (string | number)[] = [];
  let node = root;
  for (const part of pointer.split("/").slice(1)) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    const step = node?.type === "array" && /^\d+$/.test(name) ? Number(name) : name;
    path.push(step);
    node = node === undefined ? undefined : findNodeAtLocation(node, [step]);
  }
  return path;
}
