import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";

/** A provider plugin that an npm package of the program asks for. */
export interface RequiredPackage {
    readonly name: string;
    /** With a leading "v". */
    readonly version: string;
    /** Where to download from; empty for Pulumi's own place. */
    readonly server: string;
}

interface Manifest {
    readonly name?: string;
    readonly version?: string;
    readonly dependencies?: Readonly<Record<string, string>>;
    readonly pulumi?: {
        readonly resource?: boolean;
        readonly name?: string;
        readonly version?: string;
        readonly server?: string;
    };
}

/**
 * Synchronous: it is all that its process has to do, and a thousand small reads take a fifth of the time.
 * The plugins that the packages below a program's `node_modules` ask for in their package.json.
 * Nested `node_modules` count too; those outside the program's own folder do not.
 */
export function requiredPackages(program: string): RequiredPackage[] {
    const seen = new Set<string>();
    const found: RequiredPackage[] = [];
    const visit = (modules: string): void => {
        for (const folder of packageFolders(modules)) {
            const path = realpathSync.native(folder);
            if (seen.has(path)) continue;
            seen.add(path);
            const required = pluginOf(readManifest(path));
            if (required !== undefined) found.push(required);
            visit(join(path, "node_modules"));
        }
    };
    visit(join(program, "node_modules"));
    return found;
}

/** The versions of the program's direct dependencies, as far as they are installed. */
export function directDependencies(program: string): { name: string; version: string }[] {
    const { dependencies = {} } = readManifest(program);
    return Object.keys(dependencies).flatMap((name) => {
        const { version } = readManifest(join(program, "node_modules", name));
        return version === undefined ? [] : [{ name, version }];
    });
}

function packageFolders(modules: string): string[] {
    return namesIn(modules).flatMap((name) => {
        if (name.startsWith(".")) return [];
        const path = join(modules, name);
        return name.startsWith("@") ? packageFolders(path) : [path];
    });
}

function namesIn(folder: string): string[] {
    try {
        return readdirSync(folder);
    } catch {
        return [];
    }
}

function readManifest(folder: string): Manifest {
    try {
        return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
    } catch {
        // No package, or a broken one, which says nothing about plugins.
        return {};
    }
}

function pluginOf({ name = "", version, pulumi }: Manifest): RequiredPackage | undefined {
    if (pulumi?.resource !== true) return undefined;
    const plugin = pulumi.name ?? /^@pulumi\/(.+)$/.exec(name)?.[1];
    const wanted = pulumi.version ?? version;
    if (plugin === undefined || wanted === undefined) return undefined;
    return {
        name: plugin,
        version: wanted.startsWith("v") ? wanted : `v${wanted}`,
        server: pulumi.server ?? "",
    };
}
