import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { verifySha256, verifySignature } from "../plan/istio/archive";
import type { IstioConfig } from "../plan/istio/config";
import { splitManifests, type KubeObject, type SplitManifests } from "../plan/istio/manifests";
import type { IstioRevision } from "../plan/istio/names";
import type { Fault } from "../plan/faults";

/**
 * Reads the rendered YAML of revisions, of foreign ones too (files, or directories of `*.yaml` and `*.yml`), and sorts each
 * object; a release archive is verified first.
 */
export async function readManifests(
    config: IstioConfig,
    serverVersion: string,
): Promise<{
    readonly split: ReadonlyMap<string, SplitManifests>;
    readonly faults: readonly Fault[];
}> {
    const faults: Fault[] = [];
    const split = new Map<string, SplitManifests>();
    const read = async (
        name: string,
        subject: string,
        path: string,
        version: IstioRevision["version"],
    ) => {
        try {
            const objects = await readObjects(path);
            const expected = { version, serverVersion, subject };
            split.set(name, splitManifests(objects, name, config.namespace, expected));
        } catch (error) {
            faults.push({
                subject,
                value: path,
                rule: `cannot be read (${(error as Error).message.split("\n")[0]})`,
                next: "name a file or a directory of rendered YAML (istioctl manifest generate)",
            });
        }
    };
    for (const [index, { name, version, manifests, archive }] of config.revisions.entries()) {
        const key = `istio.revisions.${index}`;
        if (archive) {
            faults.push(...(await verifyArchive(`${key}.archive`, archive)));
        }
        if (manifests !== undefined) {
            await read(name, `${key}.manifests`, manifests, version);
        }
    }
    for (const [index, { revision, version, manifests, archive }] of config.foreign.entries()) {
        const subject = `istio.foreign.${index}`;
        if (archive) {
            faults.push(...(await verifyArchive(`${subject}.archive`, archive)));
        }
        if (manifests !== undefined && version === undefined) {
            faults.push({
                subject: `${subject}.version`,
                rule: "must be set where manifests are: they have to be of the version that runs",
                next: "the image tag of its istiod, such as 1.5.10-asm.2",
            });
        } else if (manifests !== undefined && version !== undefined) {
            await read(revision, `${subject}.manifests`, manifests, version);
        }
    }
    return { split, faults };
}

/** Text of a file, or of each YAML file in a directory. */
export async function readTexts(path: string): Promise<string[]> {
    const files = (await stat(path)).isDirectory()
        ? (await readdir(path))
              .filter((name) => /\.ya?ml$/.test(name))
              .sort()
              .map((name) => join(path, name))
        : [path];
    return Promise.all(files.map((file) => readFile(file, "utf8")));
}

async function readObjects(path: string): Promise<KubeObject[]> {
    const texts = await readTexts(path);
    return texts
        .flatMap((text) => parseAllDocuments(text))
        .map((document) => {
            const [error] = document.errors;
            if (error) {
                throw error;
            }
            return document.toJS() as KubeObject | null;
        })
        .filter((object) => object !== null);
}

async function verifyArchive(
    subject: string,
    archive: NonNullable<IstioRevision["archive"]>,
): Promise<Fault[]> {
    try {
        const data = await readFile(archive.path);
        const fault =
            "sha256" in archive
                ? verifySha256(data, archive.sha256, subject)
                : verifySignature(
                      data,
                      await readFile(archive.signature),
                      archive.publicKey,
                      subject,
                  );
        return fault ? [fault] : [];
    } catch (error) {
        return [
            {
                subject,
                value: archive.path,
                rule: `cannot be read (${(error as Error).message.split("\n")[0]})`,
                next: "download the release archive and its signature first",
            },
        ];
    }
}
