/** Faults that the service names by JSON pointers, at their places in the text that it was sent. */
import { describe, expect, test } from "vitest";
import { Problem } from "../src/api/rest";
import { read, serviceFaults } from "../src/pages/create/faults";
import { marked } from "./support/marks";

const TEXT = `{
  "name": "video",
  "data": {"a/b": {"m~n": 1}, "~1": 2, "0": 3},
  "children": [
    {"name": "first"},
    {"name": "second", "children": [{"name": "deep", "opts": {}}]}
  ]
}`;

describe("a pointer", () => {
  test.each([
    ["/name", '"video"'],
    ["/children/0/name", '"first"'],
    ["/children/1/children/0/name", '"deep"'],
    ["/data/a~1b/m~0n", "1"],
    ["/data/~01", "2"],
    ["/data/0", "3"],
  ])("%s leads to %s", (pointer, place) => {
    expect(marks({ pointer, detail: "is wrong" })).toEqual([[place, "is wrong"]]);
  });

  test("to a large part marks where it begins", () => {
    expect(starts("/children")).toEqual([TEXT.indexOf("["), 1]);
    expect(starts("")).toEqual([0, 1]);
  });

  test.each([
    ["/children/1/children/0/queueName", '{"name": "deep"'],
    ["/children/7/name", '[\n    {"name": "first"}'],
    ["/data/a~1b/no/such/thing", '{"m~n"'],
    ["/children/0/name/of/a/text", '"first"'],
    ["/nowhere", "{\n"],
    ["?dryRun", "{\n"],
  ])("%s to what is not there leads to the nearest thing around it", (pointer, beginning) => {
    expect(starts(pointer)[0]).toBe(TEXT.indexOf(beginning));
  });

  test("to a property that is not known here leads to its name", () => {
    expect(marks({ pointer: "/data/a~1b", detail: "is not known here" })).toEqual([['"a/b"', "is not known here"]]);
  });

  test("to one that is not there either does not lead to the name of what is around it", () => {
    expect(marks({ pointer: "/data/a~1b/gone", detail: "is not known here" })).toEqual([["{", "is not known here"]]);
  });
});

test("faults are in the order of the text, and a hundred at most", () => {
  const first = { pointer: "/children/1/name", detail: "one" };
  const second = { pointer: "/name", detail: "two" };

  expect(marks(first, second).map(([, detail]) => detail)).toEqual(["two", "one"]);
  expect(marks(...Array.from({ length: 150 }, () => first))).toHaveLength(100);
});

test("a problem that names no faults is one of the whole", () => {
  const faults = serviceFaults(new Problem(409, "Conflict", "There is such a flow"), read(TEXT));

  expect(faults).toEqual([{ pointer: "", detail: "There is such a flow", from: 0, to: 1 }]);
});

test("a text that is no JSON has its faults at its beginning", () => {
  const reading = read("[".repeat(100_000));

  expect(serviceFaults(new Problem(422, "Invalid", "", [{ pointer: "/name", detail: "is required" }]), reading)).toMatchObject([
    { from: 0, to: 1 },
  ]);
});

function marks(...faults: { pointer: string; detail: string }[]): [string, string][] {
  return marked(TEXT, serviceFaults(new Problem(422, "Invalid", "", faults), read(TEXT)));
}

/** Where the mark begins, and how long it is. */
function starts(pointer: string): [number, number] {
  const [fault] = serviceFaults(new Problem(422, "Invalid", "", [{ pointer, detail: "is wrong" }]), read(TEXT));
  return [fault!.from, fault!.to - fault!.from];
}
