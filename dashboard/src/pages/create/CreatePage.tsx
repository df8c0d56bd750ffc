import { PageTitle } from "../../parts/heading";

export default function CreatePage() {
  return <PageTitle>CreatePage</PageTitle>;
}
