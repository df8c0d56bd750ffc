/** What is said against a text that is to be a request, and which part of the text is marked. */
import { describe, expect, test } from "vitest";
import { read } from "../src/pages/create/faults";
import { TEMPLATES } from "../src/pages/create/templates";
import { marked } from "./support/marks";

const GOOD = { name: "video", queueName: "films" };

describe("a request", () => {
  test("without faults is read", () => {
    const reading = read(JSON.stringify(GOOD));

    expect(reading).toMatchObject({ isJson: true, value: GOOD, faults: [] });
  });

  test("may have all that a request can have", () => {
    const backoff = { type: "exponential", delay: 5, jitter: 0.5 };
    const opts = { attempts: 3, backoff, removeOnComplete: { count: 5 }, removeOnFail: true };
    const whole = { ...GOOD, data: [1], opts, children: [GOOD], tags: ["a"], failFast: true, deadline: null };

    expect(faultsIn(whole)).toEqual([]);
  });

  test.each(TEMPLATES.map(({ title, draft }) => [title, draft] as const))("as the form offers it has none: %s", (_, draft) => {
    expect(faultsIn(draft)).toEqual([]);
  });
});

describe("the syntax", () => {
  test.each([
    ['{"name": tru}', "This is no JSON value", "tru"],
    ['{"name" "video"}', "A colon is expected", '"video"'],
    ['{"a": 1 "b": 2}', "A comma is expected", '"b"'],
    ['{"a": 1,}', "The name of a property is expected, in double quotes", "}"],
    ["{'a': 1}", "This is no JSON value", "'a'"],
    ['{"a": 1} 2', "Here the text should end", "2"],
    ['// why\n{"a": 1}', "JSON has no comments", "// why"],
    ['{"a": "\\x"}', "There is no such escape", '"\\x"'],
    ['{"a": "open', "A closing quote is expected", '"open'],
    ['{"a": 1.}', "A digit is expected", "1."],
  ])("of %s: %s", (text, detail, place) => {
    const reading = read(text);

    expect(reading).toMatchObject({ isJson: false, value: undefined });
    expect(marked(text, reading.faults)).toContainEqual([place, detail]);
  });

  test("of a text that ends too early is marked within the text", () => {
    const text = '{"name": [1, 2';
    const { faults } = read(text);

    expect(faults.length).toBeGreaterThan(0);
    for (const { from, to } of faults) expect(0 <= from && from <= to && to <= text.length).toBe(true);
  });

  test("of an empty text says that there is nothing", () => {
    expect(read("").isJson).toBe(false);
    expect(read("").faults).toMatchObject([{ detail: "A value is expected", from: 0, to: 0 }]);
  });

  test("is told of a hundred times at most", () => {
    expect(read("[".concat("x ".repeat(500))).faults).toHaveLength(100);
  });

  test.each([
    ["open", "[".repeat(100_000)],
    ["closed", "[".repeat(100_000) + "]".repeat(100_000)],
    ["in children", '{"name":"a","queueName":"q","children":['.repeat(20_000) + "]}".repeat(20_000)],
  ])("nested beyond what can be read is one fault and no error (%s)", (_, text) => {
    expect(read(text)).toMatchObject({ isJson: false, faults: [{ detail: "This is nested too deeply", from: 0, to: 1 }] });
  });

  test("nested as deep as a service may allow is read", () => {
    const text = '{"name":"a","queueName":"q","children":['.repeat(100) + "]}".repeat(100);

    expect(read(text)).toMatchObject({ isJson: true, faults: [] });
  });
});

describe("the schema", () => {
  test.each<[object, string, string]>([
    [{ ...GOOD, name: 5 }, "5", "must be string"],
    [{ ...GOOD, name: "" }, '""', "must have at least 1 characters"],
    [{ ...GOOD, name: "x".repeat(201) }, `"${"x".repeat(201)}"`, "must have at most 200 characters"],
    [{ ...GOOD, queueName: "a:b" }, '"a:b"', "has characters that are not allowed here"],
    [{ ...GOOD, opts: { attempts: 0 } }, "0", "0 is less than 1"],
    [{ ...GOOD, opts: { attempts: 1.5 } }, "1.5", "must be integer or null"],
    [{ ...GOOD, opts: { backoff: { type: "slow", delay: 1 } } }, '"slow"', 'must be one of "fixed","exponential"'],
    [{ ...GOOD, opts: { removeOnFail: "yes" } }, '"yes"', "must be boolean or integer or object or null"],
    [{ ...GOOD, tags: ["fine", 7] }, "7", "must be string"],
    [{ ...GOOD, children: [GOOD, { ...GOOD, children: [{ ...GOOD, queueName: null }] }] }, "null", "must be string"],
  ])("is told of at the value that is wrong: %j", (request, place, detail) => {
    expect(marksOf(request)).toEqual([[place, detail]]);
  });

  test("is told of at the name of a property that is not known, wherever it stands", () => {
    expect(marksOf({ ...GOOD, nmae: 1 })).toEqual([['"nmae"', "is not known here"]]);
    expect(marksOf({ ...GOOD, children: [{ ...GOOD, opts: { atempts: 3 } }] })).toEqual([['"atempts"', "is not known here"]]);
  });

  test.each(["a/b", "a~b", "~1", "~0", "a b", "ü", "a#b", "100%", "%23", "?", "a.b", "", "0", "__proto__"])(
    "finds a property called %j",
    (name) => {
      const text = `{"name": "video", "queueName": "films", "opts": {"attempts": 1, ${JSON.stringify(name)}: 1}}`;

      expect(marked(text, read(text).faults)).toEqual([[JSON.stringify(name), "is not known here"]]);
    },
  );

  test("is told of at the first line of an object from which something is missing", () => {
    const { faults, text } = read('{"name": "video", "queueName": "q", "children": [ {"queueName": "q"} ]}');

    expect(faults).toMatchObject([{ pointer: "/children/0/name", detail: "is required" }]);
    expect(faults[0]?.from).toBe(text.indexOf('{"queueName": "q"}'));
    expect(faults[0]?.to).toBe(faults[0]!.from + 1);
  });

  test("is told of in the order of the text", () => {
    expect(marksOf({ queueName: 1, children: [{ name: 2, queueName: "q" }], name: 3 }).map(([place]) => place)).toEqual(["1", "2", "3"]);
  });

  test("is told of once for each place, and not for what is around it", () => {
    const { faults } = read(JSON.stringify({ ...GOOD, opts: { backoff: { type: "fixed", delay: -1, extra: true } } }));

    expect(faults.map(({ pointer }) => pointer).sort()).toEqual(["/opts/backoff/delay", "/opts/backoff/extra"]);
  });

  test("is told of a hundred times at most", () => {
    expect(read(JSON.stringify({ ...GOOD, children: Array.from({ length: 300 }, () => ({})) })).faults).toHaveLength(100);
  });

  test.each(["5", "null", "[]", '"text"'])("wants an object and not %s", (text) => {
    expect(read(text)).toMatchObject({ isJson: true, faults: [{ pointer: "", detail: "must be object", from: 0 }] });
  });

  test("leaves a name with half a surrogate pair to the service", () => {
    expect(read('{"name": "video", "queueName": "films", "\\ud800": 1}')).toMatchObject({ isJson: true, faults: [] });
  });
});

function faultsIn(request: object) {
  return read(JSON.stringify(request)).faults;
}

function marksOf(request: object): [string, string][] {
  const text = JSON.stringify(request);
  return marked(text, read(text).faults);
}
