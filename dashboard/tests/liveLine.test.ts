/** The line itself: how it is lost, found dead, and dialled again. */
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Live } from "../src/api/live";
import { entries } from "./support/events";
import { aPage, FakeSocket, socket } from "./support/line";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("a page", () => {
  test.each([
    ["http:", "ws://flows.test/ws"],
    ["https:", "wss://flows.test/ws"],
  ])("over %s dials %s when it is loaded", async (protocol, url) => {
    const { live } = await aPage(protocol);

    expect(FakeSocket.all.map((each) => each.url)).toEqual([url]);
    expect(live.state).toBe("connecting");
  });

  test("is told when the state of the line changes, and only then", async () => {
    const { live } = await aPage();
    const states: string[] = [];
    const stop = live.watch(() => states.push(live.state));

    socket().answer();
    socket().drop();
    vi.advanceTimersByTime(250);
    socket().drop();
    stop();
    vi.advanceTimersByTime(8_000);
    socket().answer();

    expect(states).toEqual(["open", "lost"]);
  });
});

describe("a line that is lost", () => {
  test("is dialled again, with pauses that grow up to eight seconds and begin anew once it was open", async () => {
    await aPage();
    socket().answer();

    expect(pausesUntilDialled(7)).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 8_000]);
    socket().answer();
    expect(pausesUntilDialled(2)).toEqual([250, 500]);
  });

  test("is not dialled by all pages at the same time", async () => {
    await aPage();
    socket().answer();
    vi.mocked(Math.random).mockReturnValue(0);

    expect(pausesUntilDialled(1)).toEqual([187.5].map(Math.floor));
  });

  test("is there again at once when it was cut because we were too slow", async () => {
    await aPage();
    socket().answer().drop(4008);

    vi.advanceTimersByTime(0);

    expect(FakeSocket.all).toHaveLength(2);
  });

  test("goes on after the last entry that was heard: none is missed, and none comes twice", async () => {
    const { live } = await aPage();
    const heard = following(live, "flow", 0);
    const server = new Server();
    server.write(5);
    server.take(socket());
    socket().drop();
    server.write(4);
    vi.advanceTimersByTime(250);
    socket().drop();
    server.write(2);
    vi.advanceTimersByTime(500);
    server.take(socket());

    expect(heard).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(socket().sent).toEqual([{ action: "subscribe", flowId: "flow", after: 5 }]);
  });

  test("asks for all flows again, and for nothing that nobody follows any more", async () => {
    const { live } = await aPage();
    live.followAll({ flow: () => {}, missed: () => {} });
    live.follow("gone", 0, { event: () => {} })();
    socket().answer().drop();
    vi.advanceTimersByTime(250);

    socket().answer();

    expect(socket().sent).toEqual([{ action: "subscribe" }]);
  });

  test("is dialled as soon as there is a network, or somebody looks", async () => {
    const { browser } = await aPage();
    lose(3);

    browser.window.dispatchEvent(new Event("online"));
    expect(FakeSocket.all).toHaveLength(4);
    socket().drop();
    browser.document.visibilityState = "hidden";
    browser.document.dispatchEvent(new Event("visibilitychange"));
    expect(FakeSocket.all).toHaveLength(4);
    browser.document.visibilityState = "visible";
    browser.document.dispatchEvent(new Event("visibilitychange"));
    expect(FakeSocket.all).toHaveLength(5);

    vi.advanceTimersByTime(8_000);
    expect(FakeSocket.all).toHaveLength(5);
  });

  test("is not dialled a second time while it is open, or being dialled", async () => {
    const { browser } = await aPage();

    browser.window.dispatchEvent(new Event("online"));
    socket().answer();
    browser.window.dispatchEvent(new Event("online"));

    expect(FakeSocket.all).toHaveLength(1);
  });
});

test("a line that is refused because nobody is signed in is not dialled again, whatever happens", async () => {
  const { live, browser } = await aPage();
  live.follow("flow", 0, { event: () => {} });
  socket().answer().drop(4001);

  browser.window.dispatchEvent(new Event("online"));
  browser.document.dispatchEvent(new Event("visibilitychange"));
  vi.advanceTimersByTime(600_000);

  expect(FakeSocket.all).toHaveLength(1);
  expect(live.state).toBe("refused");
});

test("a refused line is dialled again, after two seconds, when one is signed in after all", async () => {
  const { live } = await aPage();
  socket().answer().drop(4001);

  live.admitted();
  expect(live.state).toBe("lost");
  vi.advanceTimersByTime(1_999);
  expect(FakeSocket.all).toHaveLength(1);
  vi.advanceTimersByTime(1);
  socket().answer();

  expect(FakeSocket.all).toHaveLength(2);
  expect(live.state).toBe("open");
  live.admitted();
  expect(live.state).toBe("open");
});

test("a lost line is dialled at once when the service is heard of, and then with pauses that go on to grow", async () => {
  const { live } = await aPage();
  socket().answer().drop();

  live.reachable();
  expect(FakeSocket.all).toHaveLength(2);
  live.reachable(); // it is being dialled already
  expect(FakeSocket.all).toHaveLength(2);
  socket().drop();
  vi.advanceTimersByTime(499);
  expect(FakeSocket.all).toHaveLength(2);
  vi.advanceTimersByTime(1);

  expect(FakeSocket.all).toHaveLength(3);
});

describe("a line without a word", () => {
  test("is asked for one every 15 seconds, and kept as long as it answers", async () => {
    await aPage();
    socket().answer();

    for (let look = 1; look <= 4; look += 1) {
      vi.advanceTimersByTime(15_000);
      expect(socket().sent).toHaveLength(look);
      vi.advanceTimersByTime(10);
      socket().say({ type: "pong" });
    }

    expect(FakeSocket.all).toHaveLength(1);
  });

  test("is given up when it has not answered by the next look, and dialled again", async () => {
    const { live } = await aPage();
    const dead = socket().answer();

    vi.advanceTimersByTime(15_000 + 15_000);
    expect([dead.readyState, live.state]).toEqual([3, "lost"]);
    vi.advanceTimersByTime(250);

    expect(FakeSocket.all).toHaveLength(2);
  });

  test("that says its end after it was given up does not end the next one", async () => {
    const { live } = await aPage();
    const dead = socket().answer();
    const { onclose } = dead;
    vi.advanceTimersByTime(30_250);
    socket().answer();

    onclose?.({ code: 1006 });

    expect(live.state).toBe("open");
  });

  test("that nobody takes is given up and dialled anew", async () => {
    await aPage();

    vi.advanceTimersByTime(15_000 + 250);

    expect(FakeSocket.all).toHaveLength(2);
  });
});

/** A service with one log, which it tells from where it is asked. */
class Server {
  private length = 0;

  write(count: number): void {
    this.length += count;
  }

  take(line: FakeSocket): void {
    line.answer();
    for (const { action, after = 0 } of line.sent) {
      if (action === "subscribe") for (const entry of entries(after + 1, this.length)) line.say({ type: "event", ...entry });
    }
  }
}

function following(live: Live, flowId: string, after: number): number[] {
  const heard: number[] = [];
  live.follow(flowId, after, { event: ({ seq }) => heard.push(seq) });
  return heard;
}

/** It is lost so often; the milliseconds until it was dialled each time. */
function pausesUntilDialled(times: number): number[] {
  return Array.from({ length: times }, () => {
    const before = FakeSocket.all.length;
    socket().drop();
    let waited = 0;
    while (FakeSocket.all.length === before) {
      vi.advanceTimersByTime(1);
      waited += 1;
    }
    return waited;
  });
}

/** It is lost so often in a row. */
function lose(times: number): void {
  pausesUntilDialled(times - 1);
  socket().drop();
}
