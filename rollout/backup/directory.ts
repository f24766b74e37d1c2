import { createHash, randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { access, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import {
    backupManifest,
    MANIFEST_FILE,
    OBJECTS_FILE,
    SECRETS_FILE,
    type BackupManifest,
} from "../../plan/backup";

/** A backup that is not finished. */
const PARTIAL = ".partial";

export interface BackupFiles {
    readonly objects: string;
    /** Encrypted; undefined: Secrets are left out. */
    readonly secrets: Uint8Array | undefined;
}

/** The path with `~/` at its beginning resolved. */
export function expandHome(path: string): string {
    return path.replace(/^~(?=\/|$)/, homedir());
}

/** Why no folder can be made in a directory, as the end of a sentence; undefined: one can. Changes nothing. */
export async function directoryProblem(directory: string): Promise<string | undefined> {
    for (let path = resolve(directory); ; path = dirname(path)) {
        try {
            if (!(await stat(path)).isDirectory()) {
                return `cannot hold a backup: ${path} is no directory`;
            }
            await access(path, constants.W_OK | constants.X_OK);
            return undefined;
        } catch (error) {
            const { code } = error as NodeJS.ErrnoException;
            if (code !== "ENOENT" || path === dirname(path)) {
                return `cannot hold a backup: ${path} cannot be written (${code})`;
            }
        }
    }
}

/**
 * Writes a backup under a temporary name and renames it when it is whole and on the disk, so that whoever is killed leaves
 * nothing that looks like one. Directories are 0700, files 0600.
 * @returns its path
 * @throws Error; a backup of the same name is never overwritten
 */
export async function writeBackup(
    directory: string,
    name: string,
    files: BackupFiles,
    manifest: Omit<BackupManifest, "files">,
): Promise<string> {
    const path = join(directory, name);
    const partial = join(directory, `.${name}-${randomBytes(4).toString("hex")}${PARTIAL}`);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await mkdir(partial, { mode: 0o700 });
    try {
        const contents: [string, string | Uint8Array][] = [
            [OBJECTS_FILE, files.objects],
            ...(files.secrets ? [[SECRETS_FILE, files.secrets] as [string, Uint8Array]] : []),
        ];
        for (const [file, content] of contents) {
            await writeDurably(join(partial, file), content);
        }
        const listed = contents.map(([file, content]) => ({ name: file, sha256: hash(content) }));
        const text = JSON.stringify({ ...manifest, files: listed }, undefined, 4);
        await writeDurably(join(partial, MANIFEST_FILE), `${text}\n`);
        // A directory takes the name of an empty one, but of no backup.
        await rename(partial, path);
    } catch (error) {
        await rm(partial, { recursive: true, force: true });
        const { code, message } = error as NodeJS.ErrnoException;
        throw code === "ENOTEMPTY" || code === "EEXIST"
            ? new Error(`${path} exists already and is not overwritten`)
            : new Error(message);
    }
    return path;
}

async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
    const file = await open(path, "wx", 0o600);
    try {
        await file.writeFile(content);
        await file.sync();
    } finally {
        await file.close();
    }
}

/** A backup as it was written. */
export interface StoredBackup {
    readonly manifest: BackupManifest;
    readonly objects: string;
    readonly secrets: Uint8Array | undefined;
}

/** @throws Error where it is no whole backup, or a file is not as it was written */
export async function readBackup(path: string): Promise<StoredBackup> {
    if (resolve(path).endsWith(PARTIAL)) {
        throw new Error("was not finished: whoever wrote it was killed");
    }
    const text = await readFile(join(path, MANIFEST_FILE), "utf8").catch(() => {
        throw new Error(`is no backup: it has no file ${MANIFEST_FILE}`);
    });
    const parsed = backupManifest.safeParse(parseJson(text));
    if (!parsed.success) {
        throw new Error(`has a ${MANIFEST_FILE} of another format than mesh-upgrade-backup/1`);
    }
    const contents = new Map<string, Buffer>();
    for (const { name, sha256 } of parsed.data.files) {
        if (name !== OBJECTS_FILE && name !== SECRETS_FILE) {
            throw new Error(`names a file that no backup has: ${name}`);
        }
        const content = await readFile(join(path, name)).catch(() => {
            throw new Error(`lacks its file ${name}`);
        });
        if (hash(content) !== sha256) {
            throw new Error(`is damaged: ${name} has another SHA-256 than ${MANIFEST_FILE} says`);
        }
        contents.set(name, content);
    }
    return {
        manifest: parsed.data,
        objects: contents.get(OBJECTS_FILE)?.toString() ?? "",
        secrets: contents.get(SECRETS_FILE),
    };
}

function parseJson(text: string): unknown {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}

function hash(content: string | Uint8Array): string {
    return createHash("sha256").update(content).digest("hex");
}
