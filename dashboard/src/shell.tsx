/** What stands around every page: where one can go, and whether the service is there. */
import { ActionIcon, Alert, Anchor, AppShell, Burger, Group, NavLink, Text, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconActivityHeartbeat, IconApi, IconMoon, IconPlus, IconSitemap, IconStack2, IconSun, IconWifiOff } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { Link, useLocation } from "wouter";
import { Account } from "./account/Account";
import { useMay } from "./account/me";
import { useReadiness } from "./api/readiness";
import { useIsCutOff } from "./api/useLive";
import { Boundary } from "./parts/Boundary";

const NEW = "/flows/new";
const PAGES = [
  { to: "/flows", word: "Flows", icon: IconSitemap },
  { to: NEW, word: "New flow", icon: IconPlus },
  { to: "/queues", word: "Queues", icon: IconStack2 },
  { to: "/health", word: "Health", icon: IconActivityHeartbeat },
];

export function Shell({ children }: { children: ReactNode }) {
  const [isOpen, { toggle, close }] = useDisclosure(false);
  const [location] = useLocation();
  const mayWrite = useMay("write");
  return (
    <AppShell header={{ height: 52 }} navbar={{ width: 200, breakpoint: "sm", collapsed: { mobile: !isOpen } }} padding="md">
      <Anchor href="#main" className="visually-hidden">
        To the content
      </Anchor>
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={isOpen} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Pages" />
            <img src="/ui/icon.svg" width={24} height={24} alt="" />
            <Text fw={700}>bullflow</Text>
          </Group>
          <Group gap="sm" wrap="nowrap">
            <Account />
            <ColorScheme />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label="Pages">
        {PAGES.filter(({ to }) => mayWrite || to !== NEW).map(({ to, word, icon: Sign }) => (
          <NavLink
            key={to}
            component={Link}
            href={to}
            label={word}
            leftSection={<Sign size={18} aria-hidden />}
            active={to === pageOf(location)}
            onClick={close}
          />
        ))}
        <NavLink href="/docs" label="API" leftSection={<IconApi size={18} aria-hidden />} mt="auto" />
        <Text size="xs" c="dimmed" px="sm" py={4}>
          Times in {Intl.DateTimeFormat().resolvedOptions().timeZone}
        </Text>
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1}>
        <Banners />
        <Boundary at={location}>{children}</Boundary>
      </AppShell.Main>
    </AppShell>
  );
}

/** The page in the list that this address belongs to: the one that says most of it. */
function pageOf(location: string): string | undefined {
  return PAGES.map(({ to }) => to)
    .filter((to) => location === to || location.startsWith(`${to}/`))
    .sort((one, other) => other.length - one.length)[0];
}

function ColorScheme() {
  const { setColorScheme } = useMantineColorScheme();
  const other = useComputedColorScheme("light", { getInitialValueInEffect: false }) === "light" ? "dark" : "light";
  return (
    <Tooltip label={`Show ${other} colours`} withArrow>
      <ActionIcon variant="default" size="lg" aria-label={`Show ${other} colours`} onClick={() => setColorScheme(other)}>
        {other === "dark" ? <IconMoon size={18} /> : <IconSun size={18} />}
      </ActionIcon>
    </Tooltip>
  );
}

/** What is away, and what that means for whoever looks at a page. */
function Banners() {
  const isCutOff = useIsCutOff();
  // The line is dialled as soon as there is an answer.
  const { data } = useReadiness(isCutOff ? 1_500 : 5_000);
  return (
    <div aria-live="polite">
      {isCutOff && (
        <Alert color="yellow" icon={<IconWifiOff aria-hidden />} title="Connection lost" mb="md">
          What you see stands still. It is dialled again by itself, and nothing will be missed.
        </Alert>
      )}
      {!isCutOff && data !== undefined && data.engine !== "ok" && (
        <Alert color="orange" title="The engine is away" mb="md">
          New flows are accepted and kept, and are dispatched as soon as it is back. What is running may go on; it is
          recorded later. ({data.engine})
        </Alert>
      )}
      {!isCutOff && data !== undefined && data.engine === "ok" && data.recorder !== "ok" && (
        <Alert color="orange" title="Nobody records" mb="md">
          Flows are accepted, but neither dispatched nor recorded. ({data.recorder})
        </Alert>
      )}
    </div>
  );
}
