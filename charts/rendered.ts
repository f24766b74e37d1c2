import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Document } from "yaml";
import type { LinkerdStackConfig } from "../config";
import type { Fault } from "../plan/faults";
import {
    parseManifests,
    renderedControlPlane,
    type Rendered,
    type RenderedChart,
} from "../plan/rendered";
import { renderedCrds } from "../plan/renderedCrds";
import type { LinkerdVersion } from "../plan/versions";
import { readTexts } from "./manifests";
import { addressByContent, type LocatedChart } from "./source";

/**
 * Reads the rendered YAML that the stack file names (files, or directories of `*.yaml` and `*.yml`) and checks it. `crds` is
 * the newer one of the version line and the live CRDs.
 */
export async function readRendered(
    config: Pick<LinkerdStackConfig, "crds" | "controlPlane" | "linkerdVersion">,
    crds: LinkerdVersion,
    projectDirectory = process.cwd(),
): Promise<{ readonly rendered: Rendered; readonly faults: readonly Fault[] }> {
    const line = config.linkerdVersion;
    const read = async (
        section: "crds" | "controlPlane",
        check: (documents: Document[], path: string) => RenderedChart | readonly Fault[],
    ): Promise<RenderedChart | readonly Fault[] | undefined> => {
        const path = config[section].manifests;
        if (path === undefined) {
            return undefined;
        }
        try {
            const texts = await readTexts(resolve(projectDirectory, path));
            return check(texts.flatMap(parseManifests), path);
        } catch (error) {
            return [
                {
                    subject: `${section}.manifests`,
                    value: path,
                    rule: `cannot be read (${(error as Error).message.split("\n")[0]})`,
                    next: "name a file or a directory of rendered YAML (linkerd install, helm template)",
                },
            ];
        }
    };
    const found = {
        crds: await read("crds", (documents, path) => renderedCrds(documents, path, crds, line)),
        controlPlane: await read("controlPlane", (documents, path) =>
            renderedControlPlane(documents, path, line),
        ),
    };
    const entries = Object.entries(found);
    return {
        rendered: Object.fromEntries(
            entries.filter(([, one]) => one !== undefined && !Array.isArray(one)),
        ),
        faults: entries.flatMap(([, one]) => (Array.isArray(one) ? (one as Fault[]) : [])),
    };
}

/**
 * Wraps manifests into a chart that renders just them, so that they are declared as the chart's objects are: the same
 * resources, whichever of the two they come from.
 */
export async function wrapManifests(
    { name, version }: { readonly name: string; readonly version: string },
    manifests: string,
    projectDirectory = process.cwd(),
): Promise<LocatedChart> {
    const parent = join(projectDirectory, ".charts");
    await mkdir(parent, { recursive: true });
    const aside = await mkdtemp(join(parent, "wrap-"));
    try {
        const chart = join(aside, name);
        await mkdir(join(chart, "templates"), { recursive: true });
        await writeFile(
            join(chart, "Chart.yaml"),
            `apiVersion: v2\nname: ${name}\nversion: ${version}\n`,
        );
        await writeFile(join(chart, "manifests.yaml"), manifests);
        // As a file, not as a template: what looks like a template's expression in it is text.
        await writeFile(
            join(chart, "templates", "manifests.yaml"),
            '{{ .Files.Get "manifests.yaml" }}\n',
        );
        const path = await addressByContent(chart, projectDirectory);
        return { name, version, path, kubeVersion: undefined };
    } finally {
        await rm(aside, { recursive: true, force: true });
    }
}
