/** Why the list is empty, and what to do about it. */
import { Button, Code, Group, Paper, Stack, Tabs, Text, Title } from "@mantine/core";
import { IconFilterOff, IconPlus, IconSitemap } from "@tabler/icons-react";
import { Link } from "wouter";
import { useCredentials, useMay, useMe } from "../../account/me";
import { Copy } from "../../parts/copy";
import { VIDEO } from "../create/templates";
import classes from "./Empty.module.css";

/** Nobody has made a flow yet: here is how. */
export function NothingYet() {
  const mayWrite = useMay("write");
  return (
    <Paper withBorder p="lg" maw={760} mx="auto" mt="md">
      <Stack>
        <Group gap="sm" wrap="nowrap">
          <IconSitemap size={32} aria-hidden />
          <Title order={2} size="h3">
            No flow yet
          </Title>
        </Group>
        <Text>
          A flow is a tree of jobs: a parent runs after its children and gets what they return. It shows here the moment
          it is created, by this page or by any client.
        </Text>
        <OthersMayHaveSome />
        {mayWrite && <Ways />}
      </Stack>
    </Paper>
  );
}

/** An admin may look for the flows of others here. */
function OthersMayHaveSome() {
  const { data: me } = useMe();
  if (me?.auth !== "token" || !me.scopes.includes("admin")) return null;
  return (
    <Text size="sm">
      These are the flows of {me.name} alone. As an admin you read another user's over the API, with{" "}
      <Code style={{ whiteSpace: "nowrap" }}>/flows?user=NAME</Code>.
    </Text>
  );
}

function Ways() {
  const credentials = useCredentials();
  return (
    <>
      <Group>
        <Button component={Link} href="/flows/new" leftSection={<IconPlus size={16} aria-hidden />}>
          Create the first flow
        </Button>
      </Group>
      <Text size="sm" c="dimmed">
        Or from a terminal, here the video example; <Code>bullflow up examples.video:worker</Code> has its worker.
        {credentials !== "" && (
          <>
            {" "}
            Both take your token from <Code>BULLFLOW_TOKEN</Code>.
          </>
        )}
      </Text>
      <Tabs defaultValue="curl" keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="curl">curl</Tabs.Tab>
          <Tabs.Tab value="bullflow">bullflow</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="curl" pt="sm">
          <Command text={curlOf(location.origin, credentials)} what="the curl command" />
        </Tabs.Panel>
        <Tabs.Panel value="bullflow" pt="sm">
          <Command text={commandOf(location.origin)} what="the bullflow command" />
        </Tabs.Panel>
      </Tabs>
    </>
  );
}

/** There may be flows, but none like these. */
export function NothingFound({ onReset }: { onReset: () => void }) {
  return (
    <Stack align="center" mt="xl" gap="sm">
      <IconFilterOff size={32} aria-hidden />
      <Text fw={600}>No flow matches these filters</Text>
      <Text size="sm" c="dimmed" ta="center">
        Names, queues and tags are compared as a whole, capitals included. A flow that comes to match shows here by itself.
      </Text>
      <Button variant="default" onClick={onReset}>
        Reset the filters
      </Button>
    </Stack>
  );
}

function Command({ text, what }: { text: string; what: string }) {
  return (
    <div className={classes.command}>
      <Code block className={classes.text} tabIndex={0} role="region" aria-label={what}>
        {text}
      </Code>
      <div className={classes.copy}>
        <Copy text={text} what={what} />
      </div>
    </div>
  );
}

function curlOf(origin: string, credentials: string): string {
  return `curl ${origin}/flows${credentials} -H 'Content-Type: application/json' -d '${request()}'`;
}

function commandOf(origin: string): string {
  return `bullflow flows create - --watch --url ${origin} <<'EOF'\n${request()}\nEOF`;
}

function request(): string {
  return JSON.stringify(VIDEO, null, 2);
}
