import type { Fault } from "../faults";
import { compareReleases, hopOf, releaseOf, type LinkerdRelease } from "../releases";
import type { PathVerdict } from "../review";
import { isFault, parseLinkerdVersion } from "../versions";
import { joined, NOTHING, RULES, ruled, verdictOf, type Findings } from "./rules";

/** What decides about the way to another version. */
export interface LinkerdWay {
    /** Of the control plane that runs; undefined: its version cannot be read. */
    readonly from: string | undefined;
    /** Of the version line. */
    readonly to: string;
    /** Versions that this mesh ran before. */
    readonly ran: readonly string[];
    /** Pods by the proxy version that they run. */
    readonly proxies: ReadonlyMap<string, number>;
    readonly overrides: ReadonlySet<string>;
}

/** Judges the way of a control plane that is installed. */
export function linkerdPath(way: LinkerdWay): Findings & { readonly verdict: PathVerdict } {
    const from = releaseOf(way.from);
    const to = releaseOf(way.to);
    const found =
        way.from === way.to || !to
            ? NOTHING
            : from
              ? joined([
                    oneChart(from, way),
                    oneMinor(from, to, way),
                    downgrade(from, to, way),
                    skew(from, to, way),
                ])
              : unknownOrigin(way);
    const steps = way.from === way.to ? [way.to] : [way.from ?? "unknown", way.to];
    return { ...found, verdict: verdictOf("linkerd", steps, found) };
}

/** The versions to go through, `to` last: those of each minor that lies between. */
export function hopsTo(from: LinkerdRelease, to: LinkerdRelease): readonly string[] {
    const between = Array.from(
        { length: Math.max(0, to.minor - from.minor - 1) },
        (_, index) => hopOf(from.minor + 1 + index) ?? `2.${from.minor + 1 + index}`,
    );
    return [...between, to.tag];
}

function unknownOrigin({ from, to, overrides }: LinkerdWay): Findings {
    const rule = RULES.linkerdOrigin;
    return ruled(
        rule,
        {
            subject: "ConfigMap linkerd/linkerd-config",
            value: from ?? "no linkerdVersion",
            rule: rule.text,
            next: `install a release first, from which ${to} can be judged`,
        },
        overrides,
    );
}

const ONE_CHART_ENDS = 11;

function oneChart(from: LinkerdRelease, { to, overrides }: LinkerdWay): Findings {
    const rule = RULES.linkerdOneChart;
    return from.minor > ONE_CHART_ENDS
        ? NOTHING
        : ruled(
              rule,
              pathFault(
                  from,
                  to,
                  rule.text,
                  "by hand, with the linkerd CLI of stable-2.12.6: linkerd upgrade --crds | kubectl apply -f -; linkerd upgrade | kubectl apply -f -; linkerd prune | kubectl delete -f -; linkerd viz install | kubectl apply -f -; restart the data plane; the same with stable-2.13.7 and stable-2.14.10 (a release of Helm: linkerd.io/2.12/tasks/upgrade); then take it over with adopt",
              ),
              overrides,
          );
}

function oneMinor(from: LinkerdRelease, to: LinkerdRelease, { overrides }: LinkerdWay): Findings {
    const rule = RULES.linkerdOneMinor;
    const [first = to.tag, ...more] = hopsTo(from, to);
    return to.minor - from.minor <= 1
        ? NOTHING
        : ruled(
              rule,
              pathFault(
                  from,
                  to.tag,
                  `${rule.text}: from 2.${from.minor} to 2.${to.minor} are ${to.minor - from.minor}`,
                  `go to ${first} first, data plane included, then to ${more.join(", ")}${byHand([first, ...more])}`,
              ),
              overrides,
          );
}

/** The version line refuses some of the releases that are to be gone through. */
function byHand(hops: readonly string[]): string {
    const hands = hops.filter((tag) => !isOfVersionLine(tag));
    return hands.length === 0
        ? ""
        : ` (${hands.join(", ")} by hand, with the linkerd CLI or Helm: linkerdVersion does not take ${hands.length === 1 ? "it" : "them"}; then take over what runs with adopt)`;
}

function isOfVersionLine(tag: string): boolean {
    return !isFault(parseLinkerdVersion(tag));
}

function downgrade(
    from: LinkerdRelease,
    to: LinkerdRelease,
    { ran, proxies, overrides }: LinkerdWay,
): Findings {
    const rule = RULES.downgrade;
    // A proxy tells of a control plane that ran here before there was a record.
    if (compareReleases(to, from) >= 0 || ran.includes(to.tag) || proxies.has(to.tag)) {
        return NOTHING;
    }
    const before = ran.filter((one) => one !== from.tag && isOfVersionLine(one));
    const ranToo = before.length === 0 ? "" : `, or one that ran before: ${before.join(", ")}`;
    return ruled(
        rule,
        pathFault(from, to.tag, rule.text, `set linkerdVersion to ${from.tag}${ranToo}`),
        overrides,
    );
}

/**
 * Those of the live minor go up with the upgrade; what is older was left from before. A release of the same minor leads them
 * by no more than the one that runs.
 */
function skew(from: LinkerdRelease, to: LinkerdRelease, way: LinkerdWay): Findings {
    const rule = RULES.linkerdSkew;
    const left = [...way.proxies].filter(([tag]) => {
        const proxy = releaseOf(tag);
        return proxy && proxy.minor < from.minor && to.minor - proxy.minor > 1;
    });
    return left.length === 0 || to.minor <= from.minor
        ? NOTHING
        : ruled(
              rule,
              {
                  subject: "proxies left from before",
                  value: countsText(new Map(left)),
                  rule: `${rule.text}, and ${to.tag} is of 2.${to.minor}`,
                  next: `restart them at ${from.tag} first: npm run rollout -- --help; a bare pod or a Job's is deleted or waited for`,
              },
              way.overrides,
          );
}

/** `edge-24.5.3 12, edge-24.3.1 2`: the most frequent first. */
export function countsText(counts: ReadonlyMap<string, number>): string {
    return [...counts]
        .sort(([a, many], [b, more]) => more - many || a.localeCompare(b))
        .map(([version, count]) => `${version} ${count}`)
        .join(", ");
}

function pathFault(from: LinkerdRelease, to: string, rule: string, next: string): Fault {
    return { subject: "linkerdVersion", value: `${from.tag} -> ${to}`, rule, next };
}
