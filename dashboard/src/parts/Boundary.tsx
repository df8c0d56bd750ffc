import { Button, Stack, Text, Title } from "@mantine/core";
import { Component, type ReactNode } from "react";

interface BoundaryProps {
  /** Another place is another try. */
  at: string;
  children: ReactNode;
}

/** Says that a page has failed instead of leaving an empty window. */
export class Boundary extends Component<BoundaryProps, { failedAt: string | null }> {
  override state: { failedAt: string | null } = { failedAt: null };

  static getDerivedStateFromProps({ at }: BoundaryProps, { failedAt }: { failedAt: string | null }) {
    return failedAt === "" ? { failedAt: at } : failedAt === at ? null : { failedAt: null };
  }

  static getDerivedStateFromError() {
    return { failedAt: "" };
  }

  override render() {
    if (this.state.failedAt === null) return this.props.children;
    return (
      <Stack role="alert" align="flex-start">
        <Title order={1} size="h2">
          This page has failed
        </Title>
        <Text>Perhaps the service was brought to another version since the page was opened.</Text>
        <Button onClick={() => location.reload()}>Load it again</Button>
      </Stack>
    );
  }
}
