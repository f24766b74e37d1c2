import { nameOf } from "../../plan/dataPlane";
import type { Review } from "../../plan/review";
import { html, type Markup } from "./markup";

/** Objects of one kind that are named; more are counted. */
const MOST_NAMED = 10;

/** First of all: may it go on, and what should be looked at. */
export function verdict(review: Review): Markup {
    const { refusals } = review;
    if (refusals.length > 0) {
        return html`<div class="verdict bad" role="alert">
            <strong>Refused: nothing was changed.</strong>
            <ol>
                ${refusals.map(
                    ({ subject, value, rule, next }) =>
                        html`<li>
                            ${subject}${value === undefined ? "" : ` = ${JSON.stringify(value)}`}:
                            ${rule}<span class="next">next: ${next}</span>
                        </li>`,
                )}
            </ol>
        </div>`;
    }
    const warnings = warningsOf(review);
    return warnings.length === 0
        ? html`<div class="verdict good"><strong>Nothing stands in the way.</strong></div>`
        : html`<div class="verdict warn">
              <strong>To look at before it starts:</strong>
              <ul>
                  ${warnings.map((one) => html`<li>${one}</li>`)}
              </ul>
          </div>`;
}

function warningsOf({ blastRadius, permissions, notices, checks, path }: Review): string[] {
    const { unknown, waves } = blastRadius;
    const blocked = waves
        .flatMap(({ workloads }) => workloads)
        .filter((one) => one.blocked !== undefined)
        .map(nameOf);
    const failed = checks.filter(({ result }) => result === "failed").map(({ id }) => id);
    const open = notices
        .filter((one) => one.blocking && !one.acknowledged && one.applies !== "no")
        .map(({ id }) => id);
    const broken = path?.rules.filter((one) => one.broken).map(({ id }) => id) ?? [];
    const count = permissions.missing.length;
    return [
        ...(unknown === undefined ? [] : [`The data plane is unknown: ${unknown}`]),
        ...listed("rules of the path are broken and overridden", broken),
        ...listed("notices have to be acknowledged", open),
        ...listed("checks failed", failed),
        ...listed("workloads are held up by a PodDisruptionBudget", blocked),
        ...(count > 0 ? [`${count} permissions are missing`] : []),
    ];
}

function listed(what: string, names: readonly string[]): string[] {
    const rest = names.length - MOST_NAMED;
    const more = rest > 0 ? ` and ${rest} more` : "";
    return names.length === 0
        ? []
        : [`${names.length} ${what}: ${names.slice(0, MOST_NAMED).join(", ")}${more}`];
}
