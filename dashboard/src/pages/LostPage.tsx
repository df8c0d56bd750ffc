import { Anchor, Stack, Text } from "@mantine/core";
import { Link } from "wouter";
import { PageTitle } from "../parts/heading";

export default function LostPage() {
  return (
    <Stack>
      <PageTitle>There is no such page</PageTitle>
      <Text>
        Perhaps it was moved. All flows are <Anchor component={Link} href="/flows" underline="always">here</Anchor>.
      </Text>
    </Stack>
  );
}
