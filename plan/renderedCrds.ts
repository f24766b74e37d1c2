// Rendered CRDs: `linkerd install --crds`, `linkerd upgrade --crds`, `helm template linkerd-crds`.
import { parseDocument, type Document } from "yaml";
import type { RawObject } from "../cluster/api";
import type { LiveCrd } from "../cluster/linkerd";
import type { Fault } from "./faults";
import { valuesOfRoutes } from "./gatewayApi";
import { compareReleases } from "./releases";
import { nameOf, scalar, shorten, textAt, type RenderedChart } from "./rendered";
import { isFault, parseLinkerdVersion, versionOfChart, type LinkerdVersion } from "./versions";

/**
 * The rendered CRDs, or what is wrong with them. They have to be of `version`, the newer one of version line and live CRDs, or of
 * the line's: then those that are newer in the cluster stay as they are there, see withLiveCrds.
 */
export function renderedCrds(
    documents: readonly Document[],
    path: string,
    version: LinkerdVersion,
    line = version,
): RenderedChart | readonly Fault[] {
    const subject = "crds.manifests";
    const render = `render them with linkerd ${version.tag} (linkerd install --crds), or: helm template linkerd-crds --version ${version.charts["linkerd-crds"]}`;
    const others = documents.filter((one) => textAt(one, "kind") !== "CustomResourceDefinition");
    const unmarked = documents.filter((one) => crdVersionOf(one) === undefined);
    const versions = [...new Set(documents.map(crdVersionOf))].filter((one) => one !== undefined);
    if (others.length > 0 || documents.length === 0 || unmarked.length > 0) {
        const odd = (others.length > 0 ? others : unmarked).map(
            (one) => `${textAt(one, "kind")} ${nameOf(one)}`,
        );
        return [
            {
                subject,
                value: path,
                rule:
                    others.length > 0
                        ? `holds more than CRDs: ${shorten(odd)}`
                        : documents.length === 0
                          ? "holds no object"
                          : `holds CRDs that do not tell their release (label helm.sh/chart or annotation linkerd.io/created-by): ${shorten(odd)}`,
                next: render,
            },
        ];
    }
    const found = [version, line].find(
        (one) => versions.length === 1 && versions.every((tag) => haveSameCrds(tag, one)),
    );
    if (!found) {
        return [
            {
                subject,
                value: versions.join(", "),
                rule: `the manifests are not of ${line.tag}, the version line${line.tag === version.tag ? "" : `, nor of ${version.tag}, the version of the live ones`}`,
                next: render,
            },
        ];
    }
    const marked = documents.map((one) => {
        const copy = one.clone();
        const label = `linkerd-crds-${found.charts["linkerd-crds"]}`;
        copy.setIn(["metadata", "labels", "helm.sh/chart"], scalar(label));
        const maker = ["metadata", "annotations", "linkerd.io/created-by"];
        // Charts write no release there unless values say it, as those of the stack do.
        if (textAt(one, ...maker).startsWith("linkerd/helm ")) {
            copy.setIn(maker, scalar(`linkerd/helm ${found.tag}`));
        }
        return copy;
    });
    return { documents: marked, values: valuesOfRoutes(documents.map(nameOf)) };
}

/** Releases may share the chart of the CRDs: those of stable-2.14 do. */
function haveSameCrds(tag: string, { charts }: LinkerdVersion): boolean {
    const found = parseLinkerdVersion(tag);
    return !isFault(found) && found.charts["linkerd-crds"] === charts["linkerd-crds"];
}

function crdVersionOf(document: Document): string | undefined {
    const maker = textAt(document, "metadata", "annotations", "linkerd.io/created-by");
    const label = textAt(document, "metadata", "labels", "helm.sh/chart");
    const chart = /^linkerd-crds-(.+)$/.exec(label)?.[1];
    return (
        /^linkerd\/cli (\S+)$/.exec(maker)?.[1] ?? versionOfChart("linkerd-crds", chart ?? "")?.tag
    );
}

/** Names of rendered CRDs that the cluster has of a newer release: they move forward only. */
export function newerInCluster({ documents }: RenderedChart, live: readonly LiveCrd[]): string[] {
    return documents
        .filter((document) => {
            const found = live.find(({ name }) => name === nameOf(document));
            const now = versionOfChart("linkerd-crds", found?.chartVersion ?? "");
            const own = parseLinkerdVersion(crdVersionOf(document) ?? "");
            return now !== undefined && !isFault(own) && compareReleases(now, own) > 0;
        })
        .map(nameOf);
}

/** Of whoever wrote it, and written anew by the one who declares it. */
const WRITERS = /^(pulumi\.com\/|kubectl\.kubernetes\.io\/|mesh-upgrade\/)/;

interface Crd {
    readonly metadata?: {
        readonly name?: string;
        readonly labels?: Readonly<Record<string, string>>;
        readonly annotations?: Readonly<Record<string, string>>;
    };
    readonly spec?: unknown;
}

/**
 * The chart with the live CRDs that are newer in place of its own of the same names, as they are.
 * @param objects those of newerInCluster
 * @param live all of them; what the stack made and the chart lacks is told
 */
export function withLiveCrds(
    chart: RenderedChart,
    objects: readonly RawObject[],
    live: readonly LiveCrd[],
): RenderedChart {
    const byName = new Map(objects.map((one) => [(one as Crd).metadata?.name ?? "", one as Crd]));
    const rendered = chart.documents.map(nameOf);
    const lacking = live
        .filter(({ name, stack }) => stack !== undefined && !rendered.includes(name))
        .map(({ name }) => name);
    return {
        ...chart,
        documents: chart.documents.map((one) => {
            const found = byName.get(nameOf(one));
            return found ? asItIs(found) : one;
        }),
        kept: [
            `${objects.length} that are newer in the cluster stay as they are there`,
            ...(lacking.length > 0
                ? [`what it lacks stays too, declared no longer: ${lacking.join(", ")}`]
                : []),
        ].join("; "),
    };
}

function asItIs({ metadata, spec }: Crd): Document {
    const { name, labels, annotations = {} } = metadata ?? {};
    const others = Object.entries(annotations).filter(([key]) => !WRITERS.test(key));
    const object = {
        apiVersion: "apiextensions.k8s.io/v1",
        kind: "CustomResourceDefinition",
        metadata: { name, labels, annotations: Object.fromEntries(others) },
        spec,
    };
    // JSON is YAML in which each text is in quotes, and so is read as a text by everybody.
    return parseDocument(JSON.stringify(object), { schema: "failsafe" });
}
