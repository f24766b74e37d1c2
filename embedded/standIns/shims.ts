import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** A plugin of Pulumi's that this project can stand in for. */
export type StandIn = "pulumi-language-nodejs" | "pulumi-resource-command";

const programs: Readonly<Record<StandIn, string>> = {
    "pulumi-language-nodejs": "embedded/standIns/languageHost.ts",
    "pulumi-resource-command": "embedded/standIns/commandProvider.ts",
};
const run = join(__dirname, "..", "..", "bin", "run.cjs");

/**
 * Writes an executable script for each stand-in, under the plugin's own name. Put the folder on
 * PATH before `pulumi` starts; the engine finds its plugins there.
 *
 * @param directory made where it does not exist.
 */
export async function writeShims(directory: string, which: readonly StandIn[]): Promise<void> {
    await mkdir(directory, { recursive: true });
    for (const name of which) {
        const words = [process.execPath, run, programs[name]].map(quote).join(" ");
        const path = join(directory, name);
        // exec: the engine's signals and its process group have to reach Node itself.
        await writeFile(path, `#!/bin/sh\nexec ${words} "$@"\n`);
        await chmod(path, 0o755);
    }
}

function quote(word: string): string {
    return `'${word.replaceAll("'", `'\\''`)}'`;
}
