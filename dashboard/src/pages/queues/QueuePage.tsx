import { PageTitle } from "../../parts/heading";

export default function QueuePage({ name }: { name: string }) {
  return <PageTitle>{name}</PageTitle>;
}
