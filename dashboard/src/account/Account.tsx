/** Who is signed in, and the way out; nothing where nobody needs to sign in. */
import { Badge, Button, Group, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { IconLogout } from "@tabler/icons-react";
import { signOut, useMay, useMe } from "./me";

export function Account() {
  const { data } = useMe();
  const mayWrite = useMay("write");
  const leaving = useMutation({ mutationFn: signOut });
  if (data?.auth !== "token") return null;
  return (
    <Group gap="xs" wrap="nowrap">
      <Text size="sm" truncate maw={160} title={`Signed in as ${data.name}; this token may ${data.scopes.join(", ")}`}>
        {data.name}
      </Text>
      {!mayWrite && (
        <Badge variant="default" size="sm" radius="sm" tt="none" fw={500} visibleFrom="xs" style={{ flexShrink: 0 }}>
          read only
        </Badge>
      )}
      <Button variant="default" size="xs" leftSection={<IconLogout size={14} aria-hidden />} onClick={() => leaving.mutate()}>
        Sign out
      </Button>
    </Group>
  );
}
