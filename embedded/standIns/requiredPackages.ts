import { readdir, readFile, realpath } from "node:fs/promises";
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
 * The plugins that the packages below a program's `node_modules` ask for in their package.json.
 * Nested `node_modules` count too; those outside the program's own folder do not.
 */
export async function requiredPackages(program: string): Promise<RequiredPackage[]> {
    const seen = new Set<string>();
    const found: RequiredPackage[] = [];
    const visit = async (modules: string): Promise<void> => {
        for (const folder of await packageFolders(modules)) {
            const path = await realpath(folder);
            if (seen.has(path)) continue;
            seen.add(path);
            const required = pluginOf(await readManifest(path));
            if (required !== undefined) found.push(required);
            await visit(join(path, "node_modules"));
        }
    };
    await visit(join(program, "node_modules"));
    return found;
}

/** The versions of the program's direct dependencies, as far as they are installed. */
export async function directDependencies(
    program: string,
): Promise<{ name: string; version: string }[]> {
    const { dependencies = {} } = await readManifest(program);
    const installed = Object.keys(dependencies).map(async (name) => {
        const { version } = await readManifest(join(program, "node_modules", name));
        return version === undefined ? [] : [{ name, version }];
    });
    return (await Promise.all(installed)).flat();
}

async function packageFolders(modules: string): Promise<string[]> {
    const names = await readdir(modules).catch(() => []);
    const folders = names.map(async (name) => {
        if (name.startsWith(".")) return [];
        const path = join(modules, name);
        return name.startsWith("@") ? packageFolders(path) : [path];
    });
    return (await Promise.all(folders)).flat();
}

async function readManifest(folder: string): Promise<Manifest> {
    try {
        return JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as Manifest;
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
