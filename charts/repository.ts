import { mkdir, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { RefusedError } from "../plan/faults";
import { cacheDirectory } from "../toolchain/cache";
import { digest } from "./digest";
import type { ChartRequest } from "./source";

const index = z.looseObject({
    entries: z.record(
        z.string(),
        z.array(
            z.looseObject({
                version: z.string(),
                digest: z.string().optional(),
                urls: z.array(z.string()),
            }),
        ),
    ),
});

const TIMEOUT_MS = 60_000;

/**
 * Downloads a chart's archive from a Helm repository into the user's cache, checked against the SHA-256 of the
 * repository's index, and returns its path. A cached archive is used without asking the repository again.
 * @param provenance whether its provenance file is downloaded, too, where the repository has one
 * @throws RefusedError where the repository has no such version.
 * @throws Error where it cannot be reached within 60 s, or the archive is not what the index says.
 */
export async function fetchChart(
    repository: string,
    request: ChartRequest,
    provenance = false,
): Promise<string> {
    const base = repository.endsWith("/") ? repository : `${repository}/`;
    const name = `${request.name}-${request.version}.tgz`;
    const directory = join(cacheDirectory(), "charts", digest(base).slice(0, 16));
    const path = join(directory, name);
    const wanted = [path, ...(provenance ? [`${path}.prov`] : [])];
    const there = await Promise.all(wanted.map((one) => stat(one).catch(() => undefined)));
    if (there.every((one) => one !== undefined)) {
        return path;
    }
    const listed = index.safeParse(parse((await get(`${base}index.yaml`)).toString()));
    if (!listed.success) {
        throw new Error(`${base}index.yaml is no index of a Helm repository`);
    }
    const versions = listed.data.entries[request.name] ?? [];
    const entry = versions.find((one) => one.version === request.version);
    if (!entry?.urls[0]) {
        const newest = versions.slice(0, 5).map((one) => one.version);
        throw new RefusedError([
            {
                subject: `chart ${request.name} ${request.version}`,
                rule: `is not in ${repository}; the first it lists: ${newest.join(", ") || "no version of this chart"}`,
                next:
                    request.next ??
                    "set linkerdVersion to a release that exists, or charts to a repository or directory that has it",
            },
        ]);
    }
    const { href } = new URL(entry.urls[0], base);
    const archive = await get(href);
    if (entry.digest !== undefined && digest(archive) !== entry.digest) {
        throw new Error(`SHA-256 of ${name} is ${digest(archive)}, the index says ${entry.digest}`);
    }
    await mkdir(directory, { recursive: true });
    if (provenance) {
        // A repository that has none: the verification says so.
        const signed = await get(`${href}.prov`).catch(() => undefined);
        if (signed) {
            await write(`${path}.prov`, signed);
        }
    }
    await write(path, archive);
    return path;
}

async function write(path: string, data: Buffer): Promise<void> {
    const aside = `${path}.${process.pid}.tmp`;
    await writeFile(aside, data);
    await rename(aside, path);
}

async function get(url: string): Promise<Buffer> {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(
        (error: Error) => {
            const cause = error.cause instanceof Error ? error.cause.message : error.message;
            throw new Error(`${url}: ${cause}`);
        },
    );
    if (!response.ok) {
        throw new Error(`${url}: HTTP ${response.status}`);
    }
    return Buffer.from(await response.arrayBuffer());
}
