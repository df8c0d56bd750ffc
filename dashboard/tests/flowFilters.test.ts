import { describe, expect, test } from "vitest";
import {
  countOf,
  fieldOf,
  filtersOf,
  matches,
  momentOf,
  NO_FILTERS,
  parametersOf,
  queryOf,
  type Filters,
} from "../src/pages/flows/filters";
import { aFlow } from "./support/flows";

const ALL: Filters = {
  status: "failed",
  name: "video & more",
  queueName: "films",
  tag: "a/b",
  createdAfter: "2030-01-02T03:04:05.678Z",
  createdBefore: "2030-02-03T04:05:06.789Z",
};

describe("filters in an address", () => {
  test("come back as they were", () => {
    expect(filtersOf(new URLSearchParams(queryOf(ALL).toString()))).toEqual(ALL);
  });

  test("leave out what does not narrow", () => {
    expect(queryOf(NO_FILTERS).toString()).toBe("");
    expect(filtersOf(new URLSearchParams())).toEqual(NO_FILTERS);
  });

  test("leave out what makes no sense", () => {
    expect(filtersOf(new URLSearchParams("status=delayed&createdAfter=yesterday&page=3"))).toEqual(NO_FILTERS);
  });

  test("are counted, each once", () => {
    expect([countOf(NO_FILTERS), countOf({ ...NO_FILTERS, tag: "x" }), countOf(ALL)]).toEqual([0, 1, 6]);
  });

  test("are asked for under the names of the API", () => {
    expect(Object.keys(parametersOf(ALL)).sort()).toEqual(["createdAfter", "createdBefore", "name", "queueName", "status", "tag"]);
  });
});

describe("a flow", () => {
  const flow = aFlow(1, { status: "active", tags: ["one", "two"], createdAt: "2030-01-01T00:00:00.000Z" });
  const isIn = (filters: Partial<Filters>) => matches(flow, { ...NO_FILTERS, ...filters });

  test.each<[Partial<Filters>, Partial<Filters>]>([
    [{ status: "active" }, { status: "waiting" }],
    [{ name: "video" }, { name: "vide" }],
    [{ queueName: "films" }, { queueName: "Films" }],
    [{ tag: "two" }, { tag: "tw" }],
    [{ createdAfter: "2029-12-31T23:59:59.999Z" }, { createdAfter: "2030-01-01T00:00:00.000Z" }],
    [{ createdBefore: "2030-01-01T00:00:00.001Z" }, { createdBefore: "2030-01-01T00:00:00.000Z" }],
  ])("matches %o and not %o", (met, missed) => {
    expect([isIn(met), isIn(missed)]).toEqual([true, false]);
  });

  test("matches when nothing narrows", () => expect(isIn({})).toBe(true));

  test("does not match when one filter of two does not", () => {
    expect(isIn({ status: "active", tag: "three" })).toBe(false);
  });

  test("is compared by instants and not by how they are written", () => {
    expect(isIn({ createdAfter: "2030-01-01T01:00:00+02:00" })).toBe(true);
  });
});

describe("a field for a date and a time", () => {
  test.each(["2030-01-02T03:04:00.000Z", "2030-07-02T23:59:30.000Z"])("holds %s and gives it back", (moment) => {
    expect(momentOf(fieldOf(moment))).toBe(moment);
  });

  test("shows local time, with seconds only where there are any", () => {
    const local = new Date(2030, 4, 6, 7, 8);
    expect(fieldOf(local.toISOString())).toBe("2030-05-06T07:08");
    local.setSeconds(9);
    expect(fieldOf(local.toISOString())).toBe("2030-05-06T07:08:09");
  });

  test("is empty when there is no instant, and means none when it is", () => {
    expect([fieldOf(""), momentOf(""), momentOf(null), momentOf("2030-13-01T00:00")]).toEqual(["", "", "", ""]);
  });
});
