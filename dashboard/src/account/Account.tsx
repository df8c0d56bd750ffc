/** Who is signed in, and the way out; nothing where nobody needs to sign in. */
import { Button, Group, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { IconLogout } from "@tabler/icons-react";
import { signOut, useMe } from "./me";

export function Account() {
  const { data } = useMe();
  const leaving = useMutation({ mutationFn: signOut });
  if (data?.auth !== "token") return null;
  return (
    <Group gap="xs" wrap="nowrap">
      <Text size="sm" truncate maw={160} title={`Signed in as ${data.name}`}>
        {data.name}
      </Text>
      <Button variant="default" size="xs" leftSection={<IconLogout size={14} aria-hidden />} onClick={() => leaving.mutate()}>
        Sign out
      </Button>
    </Group>
  );
}
