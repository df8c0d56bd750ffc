import { beforeEach, describe, expect, test } from "vitest";
import { get, inWords, post, Problem, put, remove, withParameters } from "../src/api/rest";
import { Service, type Question } from "./support/service";

let service: Service;

beforeEach(() => {
  service = new Service();
});

describe("parameters", () => {
  test("that say nothing are left out; zero and false say something", () => {
    const parameters = { none: null, missing: undefined, empty: "", zero: 0, no: false, text: "x" };

    expect(withParameters("/flows", parameters)).toBe("/flows?zero=0&no=false&text=x");
  });

  test("leave a path as it is when there are none", () => {
    expect(withParameters("/flows", { none: null })).toBe("/flows");
  });

  test("are escaped", () => {
    expect(withParameters("/flows", { tag: "a&b=c d/ü" })).toBe("/flows?tag=a%26b%3Dc+d%2F%C3%BC");
  });
});

describe("a question", () => {
  test("is asked with its parameters, and answered with what the body says", async () => {
    service.answersWith(({ path, query, wish }) => ({ path, query, method: wish.method }));

    expect(await get("/flows", { limit: 5 })).toEqual({ path: "/flows", query: { limit: "5" }, method: "GET" });
  });

  test("sends what it is given as JSON, and a text as it was typed", async () => {
    service.answersWith(() => ({}));

    await post("/flows", { body: { name: "video" }, headers: { "Idempotency-Key": "k" } });
    await put("/flows", { body: '{ "name" :  "video" }' });
    await post("/flows/1/cancel");

    expect(service.asked.map(({ wish }) => wish.body)).toEqual(['{"name":"video"}', '{ "name" :  "video" }', undefined]);
    expect(service.asked.map(({ wish }) => wish.headers)).toEqual([
      { "Content-Type": "application/json", "Idempotency-Key": "k" },
      { "Content-Type": "application/json" },
      undefined,
    ]);
  });

  test("may have an answer without a body", async () => {
    const answer = remove("/flows/1");
    service.next.send(new Response(null, { status: 204 }));

    expect(await answer).toBeUndefined();
  });
});

describe("a refusal", () => {
  test("is a problem in the service's words, with its faults", async () => {
    const errors = [{ pointer: "/name", detail: "is required" }];
    const problem = await refused((question) => question.reply({ title: "Invalid", detail: "One fault", errors }, 422));

    expect(problem).toMatchObject({ status: 422, title: "Invalid", detail: "One fault", message: "One fault", faults: errors });
  });

  test("of somebody in between has words as well", async () => {
    const problem = await refused((question) =>
      question.send(new Response("<h1>Bad gateway</h1>", { status: 502, statusText: "Bad Gateway" })),
    );

    expect(problem).toMatchObject({ status: 502, title: "Bad Gateway", detail: "The service has answered 502.", faults: [] });
  });

  test("over HTTP/2, which has no words for a status, has a title", async () => {
    expect((await refused((question) => question.send(new Response("", { status: 503 })))).title).toBe("Error");
  });
});

describe("no answer", () => {
  test("to a question is nothing to care about", async () => {
    const problem = await refused((question) => question.lose());

    expect(problem).toMatchObject({ status: 0, title: "No answer" });
    expect(problem.message).toContain("asked again by itself");
  });

  test("to a command leaves open whether it was done", async () => {
    const answer = problemOf(post("/flows/1/cancel"));
    service.next.lose();

    expect((await answer).message).toContain("not known whether it was done");
  });

  test("is what an answer is that was cut off", async () => {
    expect(await refused((question) => question.send(new Response('{"items":[{"id"')))).toMatchObject({ status: 0, title: "No answer" });
  });

  test("is no problem for whoever has turned away", async () => {
    const aborter = new AbortController();
    const answer = get("/flows", {}, aborter.signal);
    aborter.abort();
    service.next.lose();

    await expect(answer).rejects.not.toBeInstanceOf(Problem);
  });

  test("is waited for until the one who asked turns away", async () => {
    const aborter = new AbortController();
    void get("/flows", {}, aborter.signal);
    expect(service.next.wish.signal?.aborted).toBe(false);

    aborter.abort();

    expect(service.next.wish.signal?.aborted).toBe(true);
  });
});

test("anything that is thrown has words", () => {
  const thrown = [new Problem(404, "Not found", ""), new Error("broken"), "odd"];

  expect(thrown.map(inWords)).toEqual(["Not found", "broken", "odd"]);
});

async function refused(answer: (question: Question) => void): Promise<Problem> {
  const problem = problemOf(get("/flows"));
  answer(service.next);
  return problem;
}

async function problemOf(answer: Promise<unknown>): Promise<Problem> {
  const error = await answer.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Problem);
  return error as Problem;
}
