import { chmod, lstat, mkdir } from "node:fs/promises";
import { join, normalize } from "node:path";
import { extract, type ReadEntry } from "tar";

/**
 * Unpacks only the wanted members of a .tar.gz into a new folder and returns their paths, keyed
 * by member. Throws when one is missing or is no plain file, and when any member, wanted or not,
 * points outside the folder: nobody makes such a release by accident.
 */
export async function unpack(
    archive: string,
    wanted: readonly string[],
    folder: string,
): Promise<Map<string, string>> {
    await mkdir(folder, { mode: 0o700 });
    let outside: string | undefined;
    await extract({
        file: archive,
        cwd: folder,
        strict: true,
        filter: (path, entry) => {
            const member = normalize(path);
            if (member.startsWith("/") || member.split("/").includes("..")) {
                outside ??= path;
            }
            return (
                outside === undefined &&
                (entry as ReadEntry).type === "File" &&
                wanted.includes(member)
            );
        },
    });
    if (outside !== undefined) {
        throw new Error(`the archive has a member that points outside: ${outside}`);
    }
    const found = new Map<string, string>();
    for (const member of wanted) {
        const path = join(folder, member);
        if (!(await lstat(path).catch(() => undefined))?.isFile()) {
            throw new Error(`the archive has no file ${member}`);
        }
        await chmod(path, 0o700);
        found.set(member, path);
    }
    return found;
}
