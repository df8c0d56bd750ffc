import type { Jobs } from "../../../board/jobs";
import { localTime } from "../../../parts/time";
import type { CriticalPath } from "./criticalPath";
import { exactly } from "./words";

/** The critical path for those who do not see the bars. */
export function CriticalTable({ path, jobs }: { path: CriticalPath; jobs: Jobs }) {
  return (
    <div className="visually-hidden">
      <table>
        <caption>The critical path: what made the flow take as long as it did</caption>
        <thead>
          <tr>
            <th scope="col">Job</th>
            <th scope="col">From</th>
            <th scope="col">To</th>
            <th scope="col">Waiting</th>
            <th scope="col">Running</th>
          </tr>
        </thead>
        <tbody>
          {path.steps.map((step) => (
            <tr key={`${step.id} ${step.from}`}>
              <th scope="row">{jobs.get(step.id)?.name}</th>
              <td>{localTime(step.from)}</td>
              <td>{localTime(step.to)}</td>
              <td>{exactly(step.waiting)}</td>
              <td>{exactly(step.running)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
