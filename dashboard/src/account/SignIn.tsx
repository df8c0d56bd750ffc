/** The door: a token is shown once, and the browser keeps a session that no script can read. */
import { Alert, Anchor, Button, Card, Code, Group, PasswordInput, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { inWords } from "../api/rest";
import { PageTitle } from "../parts/heading";
import { signIn, wasSignedIn } from "./me";

export default function SignIn() {
  const [token, setToken] = useState("");
  const entering = useMutation({ mutationFn: signIn });
  const enter = (event: FormEvent) => {
    event.preventDefault();
    entering.mutate(token.trim());
  };
  return (
    <Group component="main" id="main" justify="center" p="md" mih="100dvh" align="center">
      <Card withBorder maw={420} w="100%" p="xl">
        <form onSubmit={enter}>
          <Stack>
            <Group gap="sm" wrap="nowrap">
              <img src="/ui/icon.svg" width={28} height={28} alt="" />
              <PageTitle>Sign in to bullflow</PageTitle>
            </Group>
            {wasSignedIn() && !entering.isError && (
              <Alert color="yellow" title="Your sign-in has ended">
                It lasts as long as the token that opened it: until that is over or revoked, or its user is shut out.
              </Alert>
            )}
            {entering.isError && (
              <Alert color="red" title="You are not signed in">
                {inWords(entering.error)}
              </Alert>
            )}
            <PasswordInput
              label="Token"
              placeholder="bf_…"
              value={token}
              onChange={(event) => setToken(event.currentTarget.value)}
              autoComplete="current-password"
              data-autofocus
              autoFocus
              required
            />
            <Button type="submit" loading={entering.isPending} disabled={token.trim() === ""}>
              Sign in
            </Button>
            <Text size="sm" c="dimmed">
              Whoever runs the service makes one with <Code>bullflow tokens create NAME</Code>. The API is described{" "}
              <Anchor href="/docs" underline="always" size="sm">
                here
              </Anchor>
              .
            </Text>
          </Stack>
        </form>
      </Card>
    </Group>
  );
}
