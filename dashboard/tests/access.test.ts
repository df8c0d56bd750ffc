/** What a token may do, as the service sees it. */
import { expect, test } from "vitest";
import { covers } from "../src/account/me";

test("a token may do what its scopes say, and an admin's all but see what is hidden", () => {
  const may = (...scopes: Parameters<typeof covers>[0]) =>
    (["read", "write", "admin", "payloads"] as const).filter((scope) => covers(scopes, scope));

  expect(may("read")).toEqual(["read"]);
  expect(may("read", "write", "payloads")).toEqual(["read", "write", "payloads"]);
  expect(may("admin")).toEqual(["read", "write", "admin"]);
});
