import type { Platform, ProgramSpec } from "./spec";

const ways = ["PATH", "cache", "download", "build"] as const;
type Way = (typeof ways)[number];

/** Why each way did not give the program; a way that is absent was not tried. */
export type Attempts = { [way in Way]?: string | undefined };

/** Required programs that no way could get; the message is all a user needs to go on. */
export class ProgramsUnavailableError extends Error {
    override readonly name = "ProgramsUnavailableError";

    constructor(
        missing: readonly { readonly spec: ProgramSpec; readonly attempts: Attempts }[],
        platform: Platform,
    ) {
        const blocks = missing.map(
            ({ spec, attempts }) =>
                `Cannot get ${spec.name} ${spec.version} for ${platform.os}/${platform.arch}:\n` +
                describeAttempts(attempts)
                    .map((line) => `  ${line.replaceAll("\n", "\n    ")}`)
                    .join("\n"),
        );
        super([...blocks, remedies(missing.map(({ spec }) => spec))].join("\n"));
    }
}

/** One entry for each way that was tried, in the order of the ways. */
export function describeAttempts(attempts: Attempts): string[] {
    return ways.flatMap((way) => (attempts[way] === undefined ? [] : [`${way}: ${attempts[way]}`]));
}

function remedies(specs: readonly ProgramSpec[]): string {
    const names = specs.map((spec) =>
        spec.probe.kind === "version" ? `${spec.name} (${spec.probe.accepts})` : spec.name,
    );
    const sources = new Map(
        specs.flatMap(({ release }) =>
            release === undefined ? [] : [[release.source.variable, release.source.url]],
        ),
    );
    const lines = [`put ${names.join(", ")} on PATH`];
    for (const [variable, url] of sources) {
        lines.push(`set ${variable} to a mirror of ${url}`);
    }
    if (specs.some(({ build }) => build !== undefined)) {
        lines.push("install Go 1.26 or newer, with access to a Go module proxy");
    }
    const unit = lines.map((line) => `  - ${line}`).join("\n");
    return `Nothing unfinished was left in the cache. Do one of these and run it again:\n${unit}`;
}
