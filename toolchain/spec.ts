/** Where programs run: the names that Go uses. */
export interface Platform {
    readonly os: "linux" | "darwin";
    readonly arch: "amd64" | "arm64";
}

/** A publisher's download area, and the variable that points to a mirror of it. */
export interface Source {
    readonly variable: string;
    /** Without a slash at the end. */
    readonly url: string;
}

/**
 * One published file per platform, with a published SHA-256. Several programs may come in one
 * file; they are fetched together.
 */
export interface Release {
    /** Unique; also the name of the lock that its programs share. */
    readonly name: string;
    readonly source: Source;
    /** Path below the source's URL; undefined where nothing is published for the platform. */
    readonly file: (platform: Platform) => string | undefined;
    /** Path, below the source's URL, of the file that holds the SHA-256 of `file`. */
    readonly checksums: (platform: Platform) => string;
    /** "plain": the file is the program itself. */
    readonly format: "tar.gz" | "plain";
}

/** How a build from a pinned Go module is made. */
export interface GoBuild {
    /** Folder below `toolchain/go`. */
    readonly module: string;
    /** Import path, or "." for the module's own main. */
    readonly package: string;
    /** The version that comes out; it can be older than the one for download. */
    readonly version: string;
    /** Import path of a string variable to the value that the linker sets. */
    readonly variables: Readonly<Record<string, string>>;
    /** Build tags. Defaults to none. */
    readonly tags?: readonly string[];
    /** How long it takes on two cores with empty caches, for the estimate only. */
    readonly seconds: number;
}

/** How a program shows that it is itself and runs here. */
export type Probe =
    | {
          readonly kind: "version";
          readonly arguments: readonly string[];
          /** First group: the version without "v". So specific that no other program's answer fits. */
          readonly pattern: RegExp;
          /** Semver range that is taken from PATH. */
          readonly accepts: string;
      }
    /** A Pulumi plugin: it knows no version flag, so any quick answer of a native file will do. */
    | { readonly kind: "plugin" };

export interface ProgramSpec {
    readonly name: string;
    readonly required: boolean;
    /** The wanted version, without "v". */
    readonly version: string;
    readonly probe: Probe;
    readonly release?: Release;
    /** Path inside the release's archive. */
    readonly member?: (platform: Platform) => string;
    readonly build?: GoBuild;
    /** Program in whose folder this one is looked for as well, when that one was on PATH. */
    readonly beside?: string;
}

/** A program that is ready to run. */
export interface Program {
    /** Absolute. */
    readonly path: string;
    /** Without "v"; "unknown" for a plugin that was found on PATH. */
    readonly version: string;
    readonly origin: "PATH" | "cache" | "download" | "build";
}

/** The platform this process runs on. Throws on systems that the programs do not support. */
export function currentPlatform(): Platform {
    const os = process.platform;
    const arch = { x64: "amd64", arm64: "arm64" }[process.arch as string];
    if ((os !== "linux" && os !== "darwin") || (arch !== "amd64" && arch !== "arm64")) {
        throw new Error(
            `The toolchain runs on linux and darwin, amd64 and arm64, not on ` +
                `${os}/${process.arch}. On Windows, use the Windows Subsystem for Linux.`,
        );
    }
    return { os, arch };
}
