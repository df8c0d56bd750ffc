import { PageTitle } from "../../parts/heading";

export default function FlowsPage() {
  return <PageTitle>FlowsPage</PageTitle>;
}
