import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./global.css";
import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { askAgain, isUnknown } from "./account/me";
import { App } from "./app";
import { live } from "./api/live";
import { Problem } from "./api/rest";
import { readable, theme } from "./theme";

const queries = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, query) => {
      if (isUnknown(error) && query.queryKey[0] !== "me") askAgain(queries);
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 1_000,
      // What the service has refused it will refuse again; a service that is away comes back.
      retry: (failures, error) => failures < 3 && (!(error instanceof Problem) || error.status === 0 || error.status >= 500),
    },
  },
});

live.watch(() => {
  if (live.state === "refused") askAgain(queries);
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
