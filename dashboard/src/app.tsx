/** The pages and their addresses. Each page is loaded when it is first opened. */
import { lazy, Suspense } from "react";
import { Redirect, Route, Router, Switch } from "wouter";
import { isUnknown, useMe } from "./account/me";
import { Loading } from "./parts/loading";
import { Shell } from "./shell";

const FlowsPage = lazy(() => import("./pages/flows/FlowsPage"));
const FlowPage = lazy(() => import("./pages/flow/FlowPage"));
const CreatePage = lazy(() => import("./pages/create/CreatePage"));
const QueuesPage = lazy(() => import("./pages/queues/QueuesPage"));
const QueuePage = lazy(() => import("./pages/queues/QueuePage"));
const HealthPage = lazy(() => import("./pages/health/HealthPage"));
const SignIn = lazy(() => import("./account/SignIn"));
const LostPage = lazy(() => import("./pages/LostPage"));

export function App() {
  const me = useMe();
  // Pages do not wait for the answer: most often it is that one may see them.
  if (me.isError && isUnknown(me.error)) {
    return (
      <Suspense fallback={<Loading />}>
        <SignIn />
      </Suspense>
    );
  }
  return (
    <Switch>
      <Route path="/">
        <Redirect to="/ui/flows" replace />
      </Route>
      <Router base="/ui">
        <Shell>
          <Suspense fallback={<Loading />}>
            <Switch>
              <Route path="/">
                <Redirect to="/flows" replace />
              </Route>
              <Route path="/flows" component={FlowsPage} />
              <Route path="/flows/new" component={CreatePage} />
              <Route path="/flows/:id">{({ id }) => <FlowPage key={id} flowId={id} />}</Route>
              <Route path="/queues" component={QueuesPage} />
              <Route path="/queues/:name">{() => <QueuePage key={lastSegment()} name={lastSegment()} />}</Route>
              <Route path="/health" component={HealthPage} />
              <Route component={LostPage} />
            </Switch>
          </Suspense>
        </Shell>
      </Router>
    </Switch>
  );
}

/** The last segment of the path as it was meant. The router has decoded its own in part, which cannot be made good. */
function lastSegment(): string {
  const segment = window.location.pathname.split("/").at(-1) ?? "";
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
