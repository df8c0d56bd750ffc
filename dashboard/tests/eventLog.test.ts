import { describe, expect, test, vi } from "vitest";
import type { EventLog, Reading } from "../src/board/log";
import { eachTest } from "./support/eachTest";
import { entries } from "./support/events";
import type { Frames } from "./support/frames";
import { aLog, FakeBoard } from "./support/logs";
import { settled, type Question, type Service } from "./support/service";

let service: Service;
let frames: Frames;

eachTest((itsService, itsFrames) => {
  service = itsService;
  frames = itsFrames;
});

describe("what is in sight", () => {
  test("is asked for in windows of 500, and is there afterwards", async () => {
    const log = aLog(new FakeBoard(2_000));

    log.show(600, 700);
    expect(service.open).toMatchObject([{ path: "/flows/a%20flow/events", query: { after: "500", limit: "500" } }]);
    await answered(service.next, 2_000);

    expect([log.get(500)?.seq, log.get(501)?.seq, log.get(650)?.seq, log.get(1_000)?.seq, log.get(1_001)?.seq]).toEqual([
      undefined,
      501,
      650,
      1_000,
      undefined,
    ]);
    expect(service.open).toEqual([]);
  });

  test("is read before what is only read through", async () => {
    const log = aLog(new FakeBoard(10_000));
    log.loadAll(() => {});
    log.show(9_000, 9_100);

    await answered(service.next, 10_000);

    expect(afters().slice(0, 4)).toEqual([0, 500, 1_000, 8_500]);
  });

  test("over two windows asks for both, and for none twice", async () => {
    const log = aLog(new FakeBoard(2_000));

    log.show(480, 520);
    log.show(481, 521);

    expect(afters()).toEqual([0, 500]);
  });

  test("is asked for in three questions at a time", async () => {
    const log = aLog(new FakeBoard(10_000));

    log.show(1, 5_000);
    expect(afters()).toEqual([0, 500, 1_000]);
    await answered(service.next, 10_000);

    expect(afters()).toEqual([0, 500, 1_000, 1_500]);
  });

  test("is never more than the board shows", () => {
    const log = aLog(new FakeBoard(700));

    log.show(1, 5_000);

    expect(afters()).toEqual([0, 500]);
  });

  test("of which the end has been heard is asked for only where something is missing", async () => {
    const board = new FakeBoard(510);
    const log = aLog(board);
    log.show(501, 510);
    await answered(service.next, 510);
    for (const event of entries(515, 520)) board.say(event);

    log.show(501, 520);

    expect(afters()).toEqual([500, 510]);
  });
});

test("a window is not taken for whole because a page has brought again what was heard", async () => {
  const board = new FakeBoard(501);
  const log = aLog(board);
  log.show(501, 520);
  for (const event of entries(502, 510)) board.say(event);
  board.jump(519);
  for (const event of entries(520, 520)) board.say(event);

  await answered(service.next, 510);

  expect(afters()).toEqual([500, 510]);
});

describe("a reading", () => {
  test("hears each entry once and in order, in whatever order windows come", async () => {
    const log = aLog(new FakeBoard(1_400));
    const heard = listening(log);
    const [first, second, third] = service.open;

    await answered(third!, 1_400);
    await answered(second!, 1_400);
    expect(heard.seqs).toEqual([]);
    await answered(first!, 1_400);

    expect(heard.seqs).toEqual(upTo(1_400));
    expect(heard.reading.next).toBe(1_401);
  });

  test("asks for three windows at a time", async () => {
    const log = aLog(new FakeBoard(10_000));
    listening(log);
    expect(afters()).toEqual([0, 500, 1_000]);

    await answered(service.next, 10_000);

    expect(service.open.map(({ query }) => Number(query.after))).toEqual([500, 1_000, 1_500]);
  });

  test("goes on with what is heard, and hears nothing twice that was read before it was heard", async () => {
    const board = new FakeBoard(3);
    const heard = listening(aLog(board));
    await answered(service.next, 5);
    expect(heard.seqs).toEqual([1, 2, 3]);

    for (const event of entries(4, 6)) board.say(event);

    expect(heard.seqs).toEqual(upTo(6));
  });

  test("waits for what is missing before what was heard", async () => {
    const board = new FakeBoard(3);
    const heard = listening(aLog(board));
    board.say(entries(4, 4)[0]!);
    expect(heard.seqs).toEqual([]);

    await answered(service.next, 4);

    expect(heard.seqs).toEqual(upTo(4));
  });

  test("that begins later hears what is known without a question", async () => {
    const log = aLog(new FakeBoard(20));
    const first = listening(log);
    await answered(service.next, 20);

    const second = listening(log);

    expect([first.seqs, second.seqs]).toEqual([upTo(20), upTo(20)]);
    expect(service.asked).toHaveLength(1);
  });

  test("that was stopped hears nothing any more", async () => {
    const board = new FakeBoard(3);
    const log = aLog(board);
    const heard = listening(log);
    await answered(service.next, 3);

    log.stop(heard.reading);
    board.say(entries(4, 4)[0]!);

    expect(heard.seqs).toEqual([1, 2, 3]);
  });

  test("goes on when the board has jumped over entries that it did not tell of", async () => {
    const board = new FakeBoard(3);
    const heard = listening(aLog(board));
    await answered(service.next, 3);

    board.jump(8);
    await answered(service.next, 8);

    expect(heard.seqs).toEqual(upTo(8));
  });

  test("goes on as well when they were read before the board jumped", async () => {
    const board = new FakeBoard(3);
    const log = aLog(board);
    const heard = listening(log);
    await answered(service.next, 8);
    frames.draw();
    const { version } = log;

    board.jump(8);
    frames.draw();

    expect(heard.seqs).toEqual(upTo(8));
    expect(log.version).toBe(version + 1);
  });
});

describe("a question that fails", () => {
  test("is told of, and asked again after a while", async () => {
    const log = aLog(new FakeBoard(10));
    log.show(1, 10);
    service.next.lose();
    await settled();
    expect(log.problem).toMatchObject({ status: 0 });

    vi.advanceTimersByTime(1_499);
    await settled();
    expect(service.open).toEqual([]);
    vi.advanceTimersByTime(1);
    await settled();
    await answered(service.next, 10);

    expect(log.problem).toBeNull();
    expect(log.get(10)?.seq).toBe(10);
  });

  test("or that brings nothing is not asked again at once", async () => {
    const log = aLog(new FakeBoard(10));
    log.show(1, 10);

    await answered(service.next, 0);
    expect(service.open).toEqual([]);
    vi.advanceTimersByTime(1_500);
    await settled();

    expect(afters()).toEqual([0, 0]);
  });
});

test("a board that is closed has nothing read for it, until it is open again", async () => {
  const board = new FakeBoard(5_000);
  const heard = listening(aLog(board));
  board.isOpen = false;
  for (const question of service.open) await answered(question, 5_000);
  expect(service.asked).toHaveLength(3);

  board.isOpen = true;
  board.jump(5_000);

  expect(heard.seqs).toEqual(upTo(1_500));
  expect(service.open).toHaveLength(3);
});

test("of a long log the 200 windows that were used last are kept, and what is in sight", async () => {
  const last = 110_000;
  const board = new FakeBoard(last - 1);
  const log = aLog(board);
  board.say(entries(last, last)[0]!);
  service.answersWith((question) => pageFor(question, last));
  log.show(1, 20);
  await settled();
  let heard = 0;
  const reading = log.loadAll(({ seq }) => (heard += seq === heard + 1 ? 1 : 0));

  while (reading.next <= last) await settled();
  await settled();

  expect(heard).toBe(last);
  const kept = Array.from({ length: last / 500 }, (_, window) => log.get(window * 500 + 1) !== undefined);
  expect(kept.filter(Boolean)).toHaveLength(200);
  expect(kept.slice(0, 22)).toEqual([true, ...Array<boolean>(20).fill(false), true]);
  expect(afters().sort((one, other) => one - other)).toEqual(kept.map((_, window) => window * 500));
});

test("the window into which entries come is not let go, however long ago it was read", async () => {
  const last = 100_400;
  const board = new FakeBoard(last);
  const log = aLog(board);
  service.answersWith((question) => pageFor(question, last));
  const read = async (window: number) => {
    log.show(window * 500 + 1, window * 500 + 1);
    await settled();
  };
  await read(200);
  for (let window = 0; window < 199; window += 1) await read(window);

  board.say(entries(last + 1, last + 1)[0]!);
  await read(199);

  expect([log.get(last + 1)?.seq, log.get(1)]).toEqual([last + 1, undefined]);
});

test("changes of one frame are shown together", () => {
  const board = new FakeBoard(0);
  const log = aLog(board);
  let times = 0;
  log.watch(() => (times += 1));

  for (const event of entries(1, 50)) board.say(event);
  frames.draw();

  expect([times, log.version]).toEqual([1, 1]);
});

function listening(log: EventLog): { seqs: number[]; reading: Reading } {
  const seqs: number[] = [];
  return { seqs, reading: log.loadAll(({ seq }) => seqs.push(seq)) };
}

/** Answered by a service whose log ends there. */
async function answered(question: Question, last: number): Promise<void> {
  question.reply(pageFor(question, last));
  await settled();
}

function pageFor({ query }: Question, last: number) {
  const after = Number(query.after);
  return { items: entries(after + 1, Math.min(after + Number(query.limit), last)), next: null };
}

function afters(): number[] {
  return service.asked.map(({ query }) => Number(query.after));
}

function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, place) => place + 1);
}
