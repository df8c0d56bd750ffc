import { PageTitle } from "../../parts/heading";

export default function HealthPage() {
  return <PageTitle>HealthPage</PageTitle>;
}
