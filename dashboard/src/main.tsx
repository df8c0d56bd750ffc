import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./global.css";
import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { askAgain, UNAUTHENTICATED } from "./account/me";
import { App } from "./app";
import { live } from "./api/live";
import { hearAnswers, Problem } from "./api/rest";
import { readable, theme } from "./theme";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 1_000,
      // What the service has refused it will refuse again; a service that is away comes back.
      retry: (failures, error) => failures < 3 && (!(error instanceof Problem) || error.status === 0 || error.status >= 500),
    },
  },
});

// Whatever was asked for, and however: a question, a command, or the line itself.
hearAnswers((status) => {
  if (status === UNAUTHENTICATED) void askAgain(queries);
  else live.reachable();
});
live.watch(() => {
  if (live.state === "refused") void askAgain(queries).then((mayGoOn) => mayGoOn && live.admitted());
});

const root = document.getElementById("root");
if (root === null) throw new Error("the page has no place for the dashboard");
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} cssVariablesResolver={readable} defaultColorScheme="auto">
      <Notifications position="bottom-right" />
      <QueryClientProvider client={queries}>
        <App />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
