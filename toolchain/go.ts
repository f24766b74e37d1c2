import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gte } from "semver";
import { keyOf } from "./cache";
import { run } from "./children";
import { candidates } from "./path";
import type { ProbeOptions } from "./probe";
import type { GoBuild, Platform } from "./spec";

/** The `go` line of the modules. */
export const minimumGo = "1.26.0";

/** The path of a Go that is new enough, or why there is none. */
export async function findGo(options: ProbeOptions): Promise<{ go: string } | { reason: string }> {
    const reasons: string[] = [];
    for (const path of await candidates("go", options.environment)) {
        try {
            const { code, output } = await run(path, ["version"], {
                environment: { ...options.environment, GOTOOLCHAIN: "local" },
                timeout: options.limits.probe,
                signal: options.signal,
            });
            const [, version, patch = ".0"] = /\bgo(\d+\.\d+)(\.\d+)?/.exec(output) ?? [];
            if (code !== 0 || version === undefined) {
                throw new Error("does not run");
            }
            if (gte(version + patch, minimumGo)) {
                return { go: path };
            }
            throw new Error(`is ${version}${patch}, too old: the modules need Go 1.26`);
        } catch (error) {
            options.signal?.throwIfAborted();
            reasons.push(`${path} ${(error as Error).message}`);
        }
    }
    return { reason: reasons.length === 0 ? "Go is not installed" : reasons.join("; ") };
}

/** Stripped, reproducible, and independent of what the user has set for other projects. */
const goFlags = "-mod=readonly -buildvcs=false -trimpath";

function linkerFlags(build: GoBuild): string {
    const variables = Object.entries(build.variables).map(([name, value]) => `-X ${name}=${value}`);
    return ["-s -w", ...variables].join(" ");
}

function tagFlags({ tags = [] }: GoBuild): string[] {
    return tags.length === 0 ? [] : ["-tags", tags.join(",")];
}

/** Changes with go.mod, go.sum, any Go file of the module, and any flag. */
export async function buildKey(build: GoBuild, goFolder: string): Promise<string> {
    const folder = join(goFolder, build.module);
    const names = (await readdir(folder)).filter((name) => /^go\.(mod|sum)$|\.go$/.test(name));
    const files = await Promise.all(
        names.sort().map(async (name) => {
            const content = await readFile(join(folder, name));
            return `${name} ${createHash("sha256").update(content).digest("hex")}`;
        }),
    );
    const flags = [goFlags, linkerFlags(build), ...tagFlags(build)];
    return keyOf(["build", build.package, ...flags, ...files]);
}

export interface BuildOptions {
    readonly go: string;
    readonly goFolder: string;
    readonly environment: NodeJS.ProcessEnv;
    readonly platform: Platform;
    readonly signal?: AbortSignal | undefined;
}

/** Builds into `output`; `folder` takes Go's own temporary files. Throws with Go's last lines. */
export async function goBuild(
    build: GoBuild,
    output: string,
    folder: string,
    options: BuildOptions,
): Promise<void> {
    const result = await run(
        options.go,
        ["build", "-ldflags", linkerFlags(build), "-o", output, ...tagFlags(build), build.package],
        {
            directory: join(options.goFolder, build.module),
            environment: {
                ...options.environment,
                CGO_ENABLED: "0",
                GOFLAGS: goFlags,
                GOTOOLCHAIN: "local",
                GOWORK: "off",
                GOOS: options.platform.os,
                GOARCH: options.platform.arch,
                // Else a killed build leaves its files in the system's temporary folder.
                GOTMPDIR: folder,
            },
            signal: options.signal,
        },
    );
    if (result.code !== 0) {
        const lines = result.output.trim().split("\n").slice(-12).join("\n");
        throw new Error(`go build ended with ${result.signal ?? `code ${result.code}`}:\n${lines}`);
    }
}
