import { nameOf } from "../../plan/dataPlane";
import { permissionTexts } from "../../plan/permissions";
import type { Review, StaleRadius, WaveRadius, WorkloadRadius } from "../../plan/review";
import { html, type Markup } from "./markup";

/** Waves of up to so many workloads are open when the page is. */
const MOST_OPEN = 40;

/** A section of the page; nothing where there is nothing to show. */
export function section(title: string, body: readonly Markup[]): Markup {
    return body.length === 0
        ? html``
        : html`<section>
              <h2>${title}</h2>
              ${body}
          </section> `;
}

/** A heading that begins with `#` is of a column of counts. */
function table(headings: readonly string[], rows: readonly (readonly Markup[])[]): Markup[] {
    if (rows.length === 0) {
        return [];
    }
    const counts = headings.map((one) => one.startsWith("#"));
    const cell = (content: Markup, index: number) =>
        counts[index] ? html`<td class="count">${content}</td>` : html`<td>${content}</td>`;
    const heading = (one: string) =>
        one.startsWith("#") ? html`<th class="count">${one.slice(1)}</th>` : html`<th>${one}</th>`;
    return [
        html`<div class="scroll">
            <table>
                <thead>
                    <tr>
                        ${headings.map(heading)}
                    </tr>
                </thead>
                <tbody>
                    ${rows.map(
                        (row) =>
                            html`<tr>
                                ${row.map(cell)}
                            </tr> `,
                    )}
                </tbody>
            </table>
        </div> `,
    ];
}

export function controlPlane({ blastRadius }: Review): Markup[] {
    const { workloads, minutes, source } = blastRadius.controlPlane;
    return [
        ...table(
            ["Workload", "What happens", "#Pods", "From", "To"],
            workloads.map((one) => [
                html`${nameOf(one)}`,
                html`${one.change}`,
                html`${one.pods}`,
                html`${one.from ?? "–"}`,
                html`${one.to ?? "–"}`,
            ]),
        ),
        ...(minutes.most > 0
            ? [html`<p class="meta">${minutes.least} to ${minutes.most} minutes: ${source}.</p>`]
            : []),
    ];
}

export function waves({ blastRadius }: Review): Markup[] {
    return blastRadius.waves.map(wave);
}

function wave(one: WaveRadius): Markup {
    const { name, workloads, restarts, minutes, pace, soak, current, pods, stale } = one;
    const rate =
        pace === null
            ? "at no set pace"
            : `about ${minutes} min at ${pace} pods a minute, then ${soak} of soak`;
    const open = workloads.length <= MOST_OPEN ? html` open` : html``;
    return html`<details${open}>
<summary>Wave ${name} <span>${workloads.length} workloads, ${restarts} pods to restart, ${rate}; ${current} of ${pods} pods are current</span></summary>
${table(
    [
        "Workload",
        "Proxy",
        "#Pods",
        "#Replicas",
        "#Down at a time",
        "#Surge",
        "#Minutes",
        "Disruption budgets",
    ],
    workloads.map(workload),
)}</details>
${
    stale.length > 0
        ? html`<details${stale.length <= MOST_OPEN ? html` open` : html``}><summary>Wave ${name}: what stays as it is</summary>
${table(["Workload", "Proxy", "#Pods", "What becomes of it", "Reason"], stale.map(staleRow))}</details>
`
        : html``
}`;
}

function workload(one: WorkloadRadius): Markup[] {
    const { from, to, outdated, budgets, blocked, notes, by, action } = one;
    const remarks = [
        ...(by === "wave" ? [] : [`by the ${by}`]),
        ...(action === "restart" ? [] : [`action: ${action}`]),
        ...notes,
    ];
    return [
        html`${nameOf(one)}${remarks.map((note) => html`<small>${note}</small>`)}`,
        html`${from.join(", ")} to ${to}${outdated.map((what) => html`<small>new ${what}</small>`)}`,
        html`${one.pods}`,
        html`${one.replicas}`,
        html`${one.takesDown}`,
        html`${one.surge}`,
        html`${one.minutes ?? "–"}`,
        html`${budgets.map(
            ({ name, allowed, expected, healthy, desired }) =>
                html`${name}<small
                        >${allowed} of ${expected} may go down; ${healthy} healthy, ${desired}
                        needed</small
                    >`,
        )}${blocked ? html`<small class="blocked">blocked ${blocked.forever ? "for ever" : "now"}: ${blocked.reason}</small>` : html``}`,
    ];
}

function staleRow(one: StaleRadius): Markup[] {
    return [
        html`${nameOf(one)}`,
        html`${one.proxy}`,
        html`${one.pods}`,
        html`${one.state}`,
        html`${one.reason}`,
    ];
}

export function versions({ versions: found, path }: Review): Markup[] {
    const { controlPlane, proxies, target, crds } = found;
    return [
        ...table(
            ["What", "Version", "#Pods"],
            [
                ...controlPlane.map(({ name, version }) => [
                    html`control plane ${name}`,
                    html`${version ?? "unknown"}`,
                    html``,
                ]),
                ...proxies.map(({ version, pods }) => [
                    html`proxies`,
                    html`${version}`,
                    html`${pods}`,
                ]),
                [html`target`, html`${target.join(", ")}`, html``],
                [html`CRDs after the update`, html`${crds ?? "unknown"}`, html``],
            ],
        ),
        ...(path
            ? [
                  html`<p>The path is ${path.verdict}: ${path.steps.join(", then ")}</p>`,
                  ...table(
                      ["Rule", "Text", "Source", "Broken"],
                      path.rules.map(({ id, text, source, broken }) => [
                          html`${id}`,
                          html`${text}`,
                          html`${source}`,
                          html`${broken ? "yes" : "no"}`,
                      ]),
                  ),
              ]
            : []),
    ];
}

export function notices({ notices: all }: Review): Markup[] {
    return table(
        ["Notice", "Since", "Applies", "What to do", "Source"],
        all
            .filter(({ applies }) => applies !== "no")
            .map((one) => [
                html`${one.title}<small>${one.id}${one.acknowledged ? ", acknowledged" : one.blocking ? ", has to be acknowledged" : ""}</small>${one.evidence.map((found) => html`<small>${found}</small>`)}`,
                html`${one.since}`,
                html`${one.applies}`,
                html`${one.action}`,
                html`${one.source}`,
            ]),
    );
}

export function checks({ checks: all }: Review): Markup[] {
    return table(
        ["Check", "Result", "Severity", "Message"],
        all.map((one) => [
            html`${one.id}<small>${one.category}</small>`,
            html`<span class="${one.result}">${one.result}</span>`,
            html`${one.severity}`,
            html`${one.message}${one.hint === undefined ? html`` : html`<small>${one.hint}</small>`}`,
        ]),
    );
}

export function certificates({ certificates: all }: Review): Markup[] {
    return table(
        ["Certificate", "Valid", "Verdict", "SHA-256"],
        all.map((one) => [
            html`${one.name}<small>${one.subject}</small>`,
            html`${one.notBefore} to ${one.notAfter}`,
            html`${one.verdict}`,
            html`<small>${one.sha256}</small>`,
        ]),
    );
}

export function permissions({ permissions: found }: Review): Markup[] {
    const { unknown, missing, maybe, asked } = found;
    if (unknown !== undefined) {
        return [html`<p>Unknown: ${unknown}</p>`];
    }
    const list = (texts: readonly string[]) =>
        html`<ul>
            ${texts.map((one) => html`<li>${one}</li>`)}
        </ul>`;
    return [
        html`<p>${asked - missing.length - maybe.length} of ${asked} permissions are there.</p>`,
        ...(missing.length > 0
            ? [html`<p class="failed">The update may not:</p>`, list(permissionTexts(missing))]
            : []),
        ...(maybe.length > 0
            ? [html`<p>Missing as well, and perhaps needed:</p>`, list(permissionTexts(maybe))]
            : []),
    ];
}
