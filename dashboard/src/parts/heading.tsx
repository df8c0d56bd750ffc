import { Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";

/** The heading of a page, which is the window's title as well. */
export function PageTitle({ children }: { children: string }) {
  useDocumentTitle(`${children} · bullflow`);
  return (
    <Title order={1} size="h2" style={{ overflowWrap: "anywhere" }}>
      {children}
    </Title>
  );
}
