import { describe, expect, test } from "vitest";
import type { FlowTree, JobNode } from "../src/api/types";
import { leftOutOf, requestOf, templateOf } from "../src/board/request";
import { instant } from "./support/events";

describe("the beginning of another request", () => {
  const hidden = aFlowTree(aNode("film", { children: [aNode("first", { data: { password: "[redacted]" } })] }));

  test("is refused where values are hidden from who asks", () => {
    expect(() => templateOf(hidden, false)).toThrow("hidden from you");
    expect(templateOf(aFlowTree(aNode("film", { data: "all is seen" })), false)).toMatchObject({ data: "all is seen" });
  });

  test("may have the very words in it for who sees all", () => {
    expect(templateOf(hidden, true)).toEqual(requestOf(hidden));
  });
});

describe("the request that makes a flow again", () => {
  test("names what is not as it is by itself, and nothing else", () => {
    expect(requestOf(aFlowTree(aNode("film")))).toEqual({ name: "film", queueName: "films" });
  });

  test("has data, options and children of each job, at any depth", () => {
    const deep = aNode("deep", { data: { n: 1 }, opts: { attempts: 3, delay: 0 } });
    const root = aNode("film", { children: [aNode("first"), aNode("second", { children: [deep] })] });

    expect(requestOf(aFlowTree(root)).children).toEqual([
      { name: "first", queueName: "films" },
      {
        name: "second",
        queueName: "films",
        children: [{ name: "deep", queueName: "films", data: { n: 1 }, opts: { attempts: 3, delay: 0 } }],
      },
    ]);
  });

  test.each([[null], [0], [""], [false], [[]], ["text"]])("keeps %j as data, which is something else than none", (data) => {
    expect(requestOf(aFlowTree(aNode("film", { data })))).toMatchObject({ data });
  });

  test("leaves out options that say nothing", () => {
    expect(requestOf(aFlowTree(aNode("film", { opts: { delay: null, attempts: null } })))).not.toHaveProperty("opts");
  });

  test("leaves out the policy that a child has by itself, and keeps every other", () => {
    const children = [
      aNode("usual", { opts: { failParentOnFailure: true } }),
      aNode("bare", { opts: { failParentOnFailure: false } }),
      aNode("other", { opts: { ignoreDependencyOnFailure: true } }),
    ];
    const root = aNode("film", { opts: { failParentOnFailure: true }, children });

    const request = requestOf(aFlowTree(root));

    expect(request.opts).toEqual({ failParentOnFailure: true });
    expect(request.children?.map(({ opts }) => opts)).toEqual([
      undefined,
      { failParentOnFailure: false },
      { ignoreDependencyOnFailure: true },
    ]);
  });

  test("has tags, the wish to fail fast, and the deadline counted from the creation", () => {
    const tree = aFlowTree(aNode("film"), { tags: ["a"], failFast: true, createdAt: instant(1_000), deadline: instant(61_000) });

    expect(requestOf(tree)).toMatchObject({ tags: ["a"], failFast: true, deadline: 60_000 });
  });

  test("has no deadline that lies before the creation", () => {
    const tree = aFlowTree(aNode("film"), { createdAt: instant(1_000), deadline: instant(1_000) });

    expect(requestOf(tree)).not.toHaveProperty("deadline");
  });
});

test("children that the tree does not show are counted at all depths", () => {
  const root = aNode("film", { moreChildren: 2, children: [aNode("a", { moreChildren: 3 }), aNode("b")] });

  expect(leftOutOf(aFlowTree(root))).toBe(5);
  expect(leftOutOf(aFlowTree(aNode("film")))).toBe(0);
});

function aNode(name: string, fields: Partial<JobNode> = {}): JobNode {
  return {
    id: name,
    jobId: `${name}-1`,
    flowId: "flow",
    parentId: null,
    name,
    queueName: "films",
    status: "completed",
    data: {},
    opts: {},
    children: [],
    moreChildren: 0,
    attemptsMade: 1,
    createdAt: instant(0),
    updatedAt: instant(0),
    ...fields,
  };
}

function aFlowTree(root: JobNode, fields: Partial<FlowTree> = {}): FlowTree {
  return {
    id: "flow",
    name: root.name,
    queueName: root.queueName,
    userId: "somebody",
    status: "completed",
    failFast: false,
    tags: [],
    counts: {},
    lastSeq: 1,
    createdAt: instant(0),
    updatedAt: instant(0),
    root,
    ...fields,
  };
}
