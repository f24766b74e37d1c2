import type { LiveIstio } from "../../cluster/istio/observe";
import { originsOf, unknownOrigins } from "../policy/istio";
import { joined, NOTHING, RULES, ruled, verdictOf, type Findings } from "../policy/rules";
import type { PathVerdict } from "../review";
import type { IstioConfig } from "./config";
import {
    compareIstio,
    kubernetesFaults,
    latestIstio,
    pathFaults,
    type IstioVersion,
} from "./versions";

/** What the rules say of the way from what runs to what is added or changed in place. */
export function pathOf(
    config: IstioConfig,
    live: LiveIstio,
    overrides: ReadonlySet<string>,
): { readonly findings: Findings; readonly path: PathVerdict } {
    const origins = originsOf(live.istiods, config);
    const running = origins.known;
    const installed = new Set(live.istiods.map(({ revision }) => revision));
    const added = config.revisions.filter(({ name }) => !installed.has(name));
    const inPlace = config.revisions.map(({ name, version }) =>
        downgrade(
            version,
            originsOf(
                live.istiods.filter(({ revision }) => revision === name),
                config,
            ).known,
            live.ran,
            overrides,
        ),
    );
    const findings = joined([
        ...(added.length === 0 ? [] : [unknownOrigins(origins, overrides)]),
        ...added.flatMap(({ version }) => [
            pathFaults({ from: running, to: version, overrides }),
            downgrade(version, running, live.ran, overrides),
            kubernetesFaults(version, live.serverVersion, overrides),
        ]),
        ...inPlace,
    ]);
    const way = added.length === 0 ? [] : [...running, ...added.map(({ version }) => version)];
    const unknown = way.length === 0 ? [] : origins.unknown.map(() => "unknown");
    const steps = [...unknown, ...way.toSorted(compareIstio).map(({ text }) => text)];
    return { findings, path: verdictOf("istio", [...new Set(steps)], findings) };
}

/** A revision that is older than all that run, and never ran here: nothing was there to go back to. */
function downgrade(
    to: IstioVersion,
    running: readonly IstioVersion[],
    ran: readonly string[],
    overrides: ReadonlySet<string>,
): Findings {
    const rule = RULES.downgrade;
    const newer = running.length > 0 && running.every((one) => compareIstio(one, to) > 0);
    return !newer || ran.includes(to.text)
        ? NOTHING
        : ruled(
              rule,
              {
                  subject: "istio.revisions",
                  value: `${running.map(({ text }) => text).join(", ")} -> ${to.text}`,
                  rule: rule.text,
                  next: `choose ${latestIstio(running)?.text} or newer`,
              },
              overrides,
          );
}
