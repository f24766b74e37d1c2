import { execFile } from "node:child_process";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { RefusedError } from "../plan/faults";
import { digest } from "./digest";

const run = promisify(execFile);

/** What charts are checked against before anything of them is used. */
export interface Verification {
    /** SHA-256 by `<chart>-<version>`; where there is one, every chart has to have one. */
    readonly sha256: Readonly<Record<string, string>>;
    /** Path of an OpenPGP keyring; undefined: provenance is not looked at. */
    readonly keyring?: string | undefined;
}

export const UNVERIFIED: Verification = { sha256: {} };

const HELM_TIMEOUT_MS = 120_000;

/**
 * Checks a chart's archive or directory, found at `path`, against its hash and its provenance file.
 * @throws RefusedError where one of them is missing or another than it has to be.
 */
export async function verifyChart(
    path: string,
    stem: string,
    { sha256, keyring }: Verification,
): Promise<void> {
    if (Object.keys(sha256).length > 0) {
        const expected = sha256[stem];
        const actual = await sha256Of(path);
        if (expected !== actual) {
            throw new RefusedError([
                {
                    subject: `verify.sha256.${stem}`,
                    value: expected,
                    rule:
                        expected === undefined
                            ? `is missing; the chart that was found has ${actual}`
                            : `is not the SHA-256 of the chart that was found, which is ${actual}`,
                    next: `compare it with what the publisher of the chart says (an index's digest, or sha256sum of the archive that was reviewed), then get the chart anew or set verify.sha256.${stem}`,
                },
            ]);
        }
    }
    if (keyring !== undefined) {
        await verifyProvenance(path, stem, keyring);
    }
}

async function verifyProvenance(path: string, stem: string, keyring: string): Promise<void> {
    const refuse = (rule: string, next: string) =>
        new RefusedError([
            { subject: `verify.keyring, chart ${stem}`, value: keyring, rule, next },
        ]);
    const signed =
        "put the chart's archive with its provenance file (.tgz and .tgz.prov, as helm package --sign makes them) there, or take verify.keyring out";
    if ((await stat(path)).isDirectory()) {
        throw refuse("a chart's directory has no provenance, only an archive has", signed);
    }
    if (!(await stat(`${path}.prov`).catch(() => undefined))) {
        throw refuse("the archive has no provenance file beside it", signed);
    }
    await helm(["verify", path, "--keyring", keyring]).catch((error: Error) => {
        throw refuse(
            `the provenance does not hold (${error.message})`,
            "check who signed the chart, and that the keyring has that key (gpg --export, the old format)",
        );
    });
}

/**
 * The user's own Helm, with its logins and certificates.
 * @throws Error with the first line that it prints, or the reason why it cannot be started.
 */
export async function helm(args: readonly string[]): Promise<void> {
    await run("helm", [...args], { timeout: HELM_TIMEOUT_MS }).catch(
        (error: Error & { code?: unknown; stderr?: string; killed?: boolean }) => {
            if (error.code === "ENOENT") {
                throw new Error("helm is not on PATH; Helm 3.8 or later is needed for it");
            }
            const [line] = (error.stderr ?? "").split("\n").filter((one) => /^Error: /.test(one));
            const late = error.killed ? `no answer within ${HELM_TIMEOUT_MS / 1000} s` : undefined;
            throw new Error(late ?? line?.slice("Error: ".length) ?? "helm failed");
        },
    );
}

/**
 * Of an archive, what sha256sum says. Of a directory, the same of the list that sha256sum makes of its files:
 * `find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum`.
 * @throws Error where a directory holds a link, or a file with a line break or backslash in its name
 */
export async function sha256Of(path: string): Promise<string> {
    if (!(await stat(path)).isDirectory()) {
        return digest(await readFile(path));
    }
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    const odd = entries.find(
        (entry) => !(entry.isFile() || entry.isDirectory()) || /[\n\\]/.test(entry.name),
    );
    if (odd) {
        throw new Error(`${JSON.stringify(odd.name)} in ${path} is no plain file`);
    }
    const files = entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .map((file) => ({ file, name: `./${relative(path, file)}` }))
        .sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
    const lines = await Promise.all(
        files.map(async ({ file, name }) => `${digest(await readFile(file))}  ${name}\n`),
    );
    return digest(lines.join(""));
}
