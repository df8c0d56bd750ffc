import { PageTitle } from "../../parts/heading";

export default function FlowPage({ flowId }: { flowId: string }) {
  return <PageTitle>{flowId}</PageTitle>;
}
