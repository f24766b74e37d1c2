import type { LiveIstio } from "../../cluster/istio/observe";
import type { Fault } from "../faults";
import { isFault } from "../versions";
import type { IstioConfig } from "./config";
import { latestOf, versionText } from "./revisions";
import { DEFAULT } from "./section";
import { isFrom, parseIstioVersion } from "./versions";

/** Pods that are listed one by one; more are counted. */
const MOST_PODS = 20;

export function namespaceFaults({ target }: IstioConfig, { users }: LiveIstio): Fault[] {
    return [...target.keys()].flatMap((name): Fault[] => {
        const labels = users.namespaces.get(name);
        if (!labels) {
            return [
                {
                    subject: `istio.namespaces.${name}`,
                    rule: "the cluster has no such namespace",
                    next: `kubectl create namespace ${name}, or take it out of the stack file`,
                },
            ];
        }
        const { "istio-injection": injection, "istio.io/rev": revision } = labels;
        return injection !== undefined && revision !== undefined
            ? [
                  {
                      subject: `Namespace ${name}`,
                      value: `istio-injection=${injection}, istio.io/rev=${revision}`,
                      rule: "has both labels: the second is ignored as long as the first is there",
                      next: `kubectl label namespace ${name} istio.io/rev- (what it runs now stays), then pulumi up`,
                  },
              ]
            : [];
    });
}

export function namespaceLines(config: IstioConfig, { users, injection }: LiveIstio): string[] {
    return [...config.target]
        .sort(([a], [b]) => a.localeCompare(b))
        .map(([name, { choice, revision }]) => {
            const labels = users.namespaces.get(name) ?? {};
            const now =
                labels["istio-injection"] === undefined
                    ? labels["istio.io/rev"]
                    : labels["istio-injection"] === "enabled"
                      ? DEFAULT
                      : undefined;
            const by = now === undefined ? undefined : resolveLive(now, injection.injectors);
            const before = now === undefined ? "nobody" : named(now, by ?? "nobody");
            const after = named(choice, revision);
            return before === after
                ? `namespace ${name}: injected by ${after}`
                : `namespace ${name}: injected by ${before} -> ${after}`;
        });
}

/** `tag stable (1-27-1)`, or `1-27-1` where it is a revision itself. */
function named(choice: string, revision: string): string {
    return choice === revision ? revision : `${choice} (${revision})`;
}

function resolveLive(
    choice: string,
    injectors: LiveIstio["injection"]["injectors"],
): string | undefined {
    return injectors.find(({ tag, revision }) => (tag ?? revision) === choice)?.revision;
}

/**
 * Pods that choose by their own label do not move with a namespace: somebody has to edit their template, or, where they
 * choose a tag that moves, make them anew. Those that choose the newest revision are where they should be.
 */
export function podLabelLines(config: IstioConfig, live: LiveIstio): string[] {
    const { namespaces, pods } = live.users;
    const isLabelled = (namespace: string) => {
        const labels = namespaces.get(namespace) ?? {};
        return labels["istio.io/rev"] !== undefined || labels["istio-injection"] !== undefined;
    };
    const newest = latestOf(config.revisions)?.name;
    const lines = pods.flatMap(
        ({ namespace, name, asked: named, asksDefault, running, gateway }) => {
            const asked = asksDefault ? DEFAULT : named;
            // The namespace's own choice goes before its pods'.
            const moves = config.target.has(namespace) || isLabelled(namespace);
            if (asked === undefined || gateway || moves || asked === newest) {
                return [];
            }
            const version = parseIstioVersion(versionText(running ?? "", config, live), "running");
            // 1.6 to 1.10 write the label themselves.
            if (asked === running && !isFault(version) && !isFrom(version, "1.11")) {
                return [];
            }
            const tagged = asked === DEFAULT ? config.defaultRevision : config.tags.get(asked);
            if (tagged !== undefined && tagged === running) {
                return [];
            }
            const next =
                tagged === undefined
                    ? "edit the template of its workload to move it"
                    : "no wave restarts it; restart its workload once the tag has moved";
            const label = asksDefault ? "sidecar.istio.io/inject=true" : "istio.io/rev";
            return [`pod ${namespace}/${name} chooses ${asked} by its own label ${label}: ${next}`];
        },
    );
    const more = lines.length - MOST_PODS;
    return [
        ...lines.slice(0, MOST_PODS),
        ...(more > 0 ? [`${more} more pods choose by their own label`] : []),
    ];
}
