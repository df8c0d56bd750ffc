import { Button, Stack, Text } from "@mantine/core";
import { IconArrowLeft } from "@tabler/icons-react";
import { Link } from "wouter";
import { PageTitle } from "../../parts/heading";

/** Shown for a flow that is not there, or no more. */
export function LostFlow({ detail }: { detail: string }) {
  return (
    <Stack align="flex-start" maw={640}>
      <PageTitle>There is no such flow</PageTitle>
      <Text style={{ overflowWrap: "anywhere" }}>{detail} It may have been deleted, by somebody or because its time was over, or it belongs to somebody else.</Text>
      <Button component={Link} href="/flows" variant="default" leftSection={<IconArrowLeft size={16} aria-hidden />}>
        All flows
      </Button>
    </Stack>
  );
}
