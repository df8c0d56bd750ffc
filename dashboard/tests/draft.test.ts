import { beforeEach, describe, expect, test, vi } from "vitest";
import { TEMPLATE_KEY } from "../src/board/request";
import { changeBetween } from "../src/pages/create/editor/change";
import { dropDraft, keepDraft, keyOf, takeDraft } from "../src/pages/create/draft";
import { outlineOf } from "../src/pages/create/outline";

/** A tab's storage, with room for so many characters. */
class Storage {
  private readonly kept = new Map<string, string>();

  constructor(private readonly room = Infinity) {}

  getItem = (key: string) => this.kept.get(key) ?? null;
  removeItem = (key: string) => this.kept.delete(key);
  setItem = (key: string, text: string) => {
    if (text.length > this.room) throw new Error("QuotaExceededError");
    this.kept.set(key, text);
  };
}

beforeEach(() => void vi.stubGlobal("sessionStorage", new Storage()));

describe("a draft", () => {
  test("is there after a reload, until it has become a flow", () => {
    expect(takeDraft()).toBeNull();
    keepDraft("{");
    expect([takeDraft(), takeDraft()]).toEqual(["{", "{"]);

    dropDraft();

    expect(takeDraft()).toBeNull();
  });

  test("gives way to a template, which is taken once and is a draft from then on", () => {
    keepDraft("{");
    sessionStorage.setItem(TEMPLATE_KEY, '{"name":"video"}');

    expect(takeDraft()).toBe('{\n  "name": "video"\n}');
    keepDraft("changed");

    expect(takeDraft()).toBe("changed");
  });

  test("may come from a template that is not JSON", () => {
    sessionStorage.setItem(TEMPLATE_KEY, "{ not yet");

    expect(takeDraft()).toBe("{ not yet");
  });

  test("that is too long is not kept, and neither is what it was before", () => {
    vi.stubGlobal("sessionStorage", new Storage(10));
    keepDraft("short");

    keepDraft("x".repeat(11));

    expect(takeDraft()).toBeNull();
  });

  test("is shown even when a template becomes too long to be kept by its indents", () => {
    vi.stubGlobal("sessionStorage", new Storage(10));
    sessionStorage.setItem(TEMPLATE_KEY, '{"a":1}');

    expect(takeDraft()).toBe('{\n  "a": 1\n}');
  });
});

describe("the key of a text", () => {
  test("is the same as long as the text is", () => {
    expect(keyOf("one")).toBe(keyOf("one"));
  });

  test("is another one for another text, also for the first text after that", () => {
    const keys = [keyOf("one"), keyOf("eno"), keyOf("one")];

    expect(new Set(keys).size).toBe(3);
  });

  test("is another one once the text has become a flow", () => {
    const before = keyOf("one");
    dropDraft();

    expect(keyOf("one")).not.toBe(before);
  });
});

describe("the change between two texts", () => {
  test.each([
    ["", "", { from: 0, to: 0, insert: "" }],
    ["abc", "abc", { from: 3, to: 3, insert: "" }],
    ["abc", "abXc", { from: 2, to: 2, insert: "X" }],
    ["abXc", "abc", { from: 2, to: 3, insert: "" }],
    ["aa", "aaa", { from: 2, to: 2, insert: "a" }],
    ["one two", "one 2 two", { from: 4, to: 4, insert: "2 " }],
    ["abc", "xyz", { from: 0, to: 3, insert: "xyz" }],
  ])("%j and %j is the shortest one", (old, text, change) => {
    expect(changeBetween(old, text)).toEqual(change);
    expect(old.slice(0, change.from) + change.insert + old.slice(change.to)).toBe(text);
  });
});

describe("the outline of a request", () => {
  test("has a line for each job, and counts those that are alike", () => {
    const child = { name: "b", queueName: "q" };
    const children = [child, child, { ...child, children: [child] }, child, { ...child, queueName: "r" }];
    const request = { name: "a", queueName: "q", children };

    expect(outlineOf(request, 10).lines.map(({ depth, name, queueName, times }) => [depth, name, queueName, times])).toEqual([
      [0, "a", "q", 1],
      [1, "b", "q", 2],
      [1, "b", "q", 1],
      [2, "b", "q", 1],
      [1, "b", "q", 1],
      [1, "b", "r", 1],
    ]);
  });

  test("is cut at so many lines, and says so", () => {
    const request = { name: "a", queueName: "q", children: ["b", "b", "c", "d"].map((name) => ({ name, queueName: "q" })) };

    expect(outlineOf(request, 4).isCut).toBe(false);
    expect(outlineOf(request, 3)).toMatchObject({ isCut: true, lines: [{ name: "a" }, { name: "b", times: 2 }, { name: "c" }] });
  });

  test.each([null, 5, "text", [], { name: "", queueName: 5, children: "none" }])("takes %j for an unknown job", (value) => {
    expect(outlineOf(value, 10).lines).toEqual([{ depth: 0, name: "?", queueName: "?", times: 1 }]);
  });
});
