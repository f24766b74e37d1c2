import * as pulumi from "@pulumi/pulumi";
import { resolve } from "node:path";
import { parseAllDocuments, stringify } from "yaml";
import { keepChecksums } from "../../charts/keepChecksums";
import type { DeclaredObject } from "../declared";

export interface VizChart {
    /** Path of the chart linkerd-viz, relative to the project. */
    readonly chart: string;
    readonly values: Readonly<Record<string, unknown>>;
}

interface Rendered {
    readonly result?: readonly DeclaredObject[];
}

/**
 * What Helm makes of viz, but hooks. Helm itself applies it in an update; a preview of the release does not tell its objects, so
 * the provider is asked for them, as its older Chart resource does (helm/v3 in @pulumi/kubernetes).
 * @throws Error where the chart cannot be rendered
 */
export async function renderViz(
    { chart, values }: VizChart,
    provider: pulumi.ProviderResource,
): Promise<DeclaredObject[]> {
    const jsonOpts = JSON.stringify({
        path: resolve(chart),
        namespace: "linkerd-viz",
        release_name: "linkerd-viz",
        values,
    });
    const { result = [] } = (await pulumi.runtime.invoke(
        "kubernetes:helm:template",
        { jsonOpts },
        { provider },
    )) as Rendered;
    const stream = result.map((one) => `---\n${stringify(one)}`).join("");
    return parseAllDocuments(keepChecksums(stream))
        .map((one) => one.toJS() as DeclaredObject)
        .filter(({ metadata }) => metadata.annotations?.["helm.sh/hook"] === undefined);
}
