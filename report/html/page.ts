import { createHash } from "node:crypto";
import type { Review } from "../../plan/review";
import { html, Markup } from "./markup";
import { picture } from "./picture";
import { STYLE } from "./style";
import * as tables from "./tables";
import { section } from "./tables";
import { verdict } from "./verdict";

const HASH = createHash("sha256").update(STYLE).digest("base64");
/** Nothing is loaded, run or sent; the one style sheet is the one that stands in the page. */
const POLICY = `default-src 'none'; style-src 'sha256-${HASH}'; base-uri 'none'; form-action 'none'`;
/** As one part: the hash is of the very text between the tags. */
const SHEET = new Markup(`<style>${STYLE}</style>`);
const MESH = { linkerd: "Linkerd", istio: "Istio" } as const;

/** The review as one HTML file that needs nothing else: no script, no font, no request. */
export function htmlPage(review: Review): string {
    const { mesh, stack, context, versions, order } = review;
    const from = versions.controlPlane.map(({ version }) => version ?? "unknown").join(", ");
    const what = `${MESH[mesh]} ${from || "not installed"} to ${versions.target.join(", ")}`;
    return html`<!doctype html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="referrer" content="no-referrer" />
                <title>${what}</title>
                ${SHEET}
            </head>
            <body>
                <main>
                    <h1>${what}</h1>
                    <p class="meta">${versions.change} · stack ${stack} · context ${context}</p>
                    ${verdict(review)} ${figures(review)}
                    ${section("What happens, in this order", [picture(order)])}
                    ${section("Versions", tables.versions(review))}
                    ${section("Notices", tables.notices(review))}
                    ${section("Checks", tables.checks(review))}
                    ${section("Control plane", tables.controlPlane(review))}
                    ${section("Data plane", tables.waves(review))}
                    ${section("Permissions", tables.permissions(review))}
                    ${section("Certificates", tables.certificates(review))}
                    <footer>${review.format}: the same review as the stack output “review”.</footer>
                </main>
            </body>
        </html> `.text;
}

function figures({ blastRadius: { totals, pods, current } }: Review): Markup {
    const { least, most } = totals.minutes;
    const figure = (name: string, value: string) =>
        html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
        </div>`;
    return html`<dl class="figures">
        ${figure("workloads restart", String(totals.workloads))}
        ${figure("pods restart", String(totals.pods))}
        ${figure("minutes, about", least === most ? String(least) : `${least} to ${most}`)}
        ${figure("pods stay stale", String(totals.stalePods))}
        ${figure("meshed pods current", `${current} of ${pods}`)}
    </dl>`;
}
