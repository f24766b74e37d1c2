import { mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { cacheDirectory } from "../toolchain/cache";
import { digest } from "./digest";
import type { ChartRequest } from "./source";
import { helm } from "./verify";

/**
 * Pulls a chart's archive from an OCI registry into the user's cache and returns its path. `source` is the folder of the
 * charts, `oci://registry.example/linkerd`, as `helm push` takes it. Helm pulls, with the user's logins (helm registry
 * login), and checks the digest of what it gets. A cached archive is used without asking again: a version is one content.
 * @param provenance whether the provenance file has to come with it
 * @throws Error with Helm's reason
 */
export async function pullChart(
    source: string,
    { name, version }: ChartRequest,
    provenance: boolean,
): Promise<string> {
    const base = source.replace(/\/+$/, "");
    const key = digest(base).slice(0, 16);
    const directory = join(cacheDirectory(), "charts", key);
    const path = join(directory, `${name}-${version}.tgz`);
    const wanted = [path, ...(provenance ? [`${path}.prov`] : [])];
    const there = await Promise.all(wanted.map((one) => stat(one).catch(() => undefined)));
    if (there.every((one) => one !== undefined)) {
        return path;
    }
    await mkdir(directory, { recursive: true });
    const aside = await mkdtemp(join(directory, "pull-"));
    try {
        await helm([
            ...["pull", `${base}/${name}`, "--version", version, "--destination", aside],
            ...(provenance ? ["--prov"] : []),
        ]);
        // The archive last: it says that all is there.
        for (const file of (await readdir(aside)).sort().reverse()) {
            await rename(join(aside, file), join(directory, file));
        }
    } finally {
        await rm(aside, { recursive: true, force: true });
    }
    return path;
}
