import { basename, join } from "node:path";
import { publishedSha256 } from "./checksums";
import { fetchFile, fetchText, type HttpOptions } from "./http";
import { baseUrl } from "./sources";
import type { Platform, Release } from "./spec";

export interface DownloadOptions extends Omit<HttpOptions, "received"> {
    readonly environment: NodeJS.ProcessEnv;
    readonly platform: Platform;
    readonly progress: (line: string) => void;
}

/** Where a release is fetched from, or why it cannot be. */
export function releaseAddress(
    release: Release | undefined,
    environment: NodeJS.ProcessEnv,
    platform: Platform,
): { file: string; checksums: string } | { reason: string } {
    if (release === undefined) {
        return { reason: "its publisher gives no download with a checksum" };
    }
    const base = baseUrl(release.source, environment);
    if (base === undefined) {
        return { reason: `switched off by ${release.source.variable}` };
    }
    const file = release.file(platform);
    if (file === undefined) {
        return { reason: `nothing usable is published for ${platform.os}/${platform.arch}` };
    }
    return { file: `${base}/${file}`, checksums: `${base}/${release.checksums(platform)}` };
}

/**
 * Fetches a release into the folder and returns its path, after it was found equal to the
 * SHA-256 that the publisher gives. Throws with one line that says what failed and where.
 */
export async function fetchRelease(
    release: Release,
    address: { file: string; checksums: string },
    folder: string,
    options: DownloadOptions,
): Promise<string> {
    const fileName = basename(address.file);
    // The checksum first: without one, the large file need not be fetched at all.
    const expected = await reported(address.checksums, async () =>
        publishedSha256(await fetchText(address.checksums, options), fileName),
    );
    const path = join(folder, "download");
    options.progress(`${release.name}: downloading ${address.file}`);
    let next = Date.now() + options.limits.downloadTick;
    const received = (bytes: number, total: number | undefined) => {
        if (Date.now() >= next) {
            next = Date.now() + options.limits.downloadTick;
            const of = total === undefined ? "" : ` of ${megabytes(total)}`;
            options.progress(`${release.name}: ${megabytes(bytes)}${of} MB`);
        }
    };
    await reported(address.file, async () => {
        const actual = await fetchFile(address.file, path, { ...options, received });
        if (actual !== expected) {
            throw new Error(
                `wrong checksum: SHA-256 is ${actual}, the publisher says ${expected}; ` +
                    `it was not run and is thrown away`,
            );
        }
    });
    return path;
}

async function reported<T>(address: string, action: () => Promise<T>): Promise<T> {
    try {
        return await action();
    } catch (error) {
        throw new Error(`${address}: ${reasonOf(error)}`, { cause: error });
    }
}

function reasonOf(error: unknown): string {
    // With several addresses for one name, Node wraps the failures and leaves the message empty.
    const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
    const { code, message } = first as NodeJS.ErrnoException;
    return code === "ENOTFOUND" || code === "EAI_AGAIN"
        ? `the host's name cannot be looked up (${code})`
        : message;
}

function megabytes(bytes: number): string {
    return (bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 1 : 0);
}
