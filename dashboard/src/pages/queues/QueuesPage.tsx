import { PageTitle } from "../../parts/heading";

export default function QueuesPage() {
  return <PageTitle>QueuesPage</PageTitle>;
}
