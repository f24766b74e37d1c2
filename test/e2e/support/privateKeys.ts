import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Connection } from "../../../cluster/connection";

/**
 * The private keys that the stack made, each in every shape in which it could leak: PEM lines, and base64 as
 * Secrets hold it.
 */
export async function privateKeyTexts({ core }: Connection): Promise<string[]> {
    const secrets = await core.listSecretForAllNamespaces();
    const keys = secrets.items
        .map((secret) => secret.data?.["tls.key"] ?? secret.data?.["key.pem"])
        .filter((key) => key !== undefined);
    return keys.flatMap((base64) => {
        const pem = Buffer.from(base64, "base64").toString();
        const [, line = ""] = pem.split("\n");
        // The first line of a P-256 key in PKCS #8 begins alike for all keys; its end does not.
        return [line.slice(-24), base64.slice(80, 120)];
    });
}

/** Text of every file below a directory. */
export async function filesBelow(directory: string): Promise<{ path: string; text: string }[]> {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    return Promise.all(
        entries
            .filter((entry) => entry.isFile())
            .map(async (entry) => {
                const path = join(entry.parentPath, entry.name);
                return { path, text: await readFile(path, "utf8") };
            }),
    );
}

/** Collects the command lines of all processes until stopped; a process of a few milliseconds can be missed. */
export function watchArguments(): { stop(): Promise<string[]> } {
    const seen = new Set<string>();
    let running = true;
    const loop = (async () => {
        while (running) {
            for (const pid of await readdir("/proc").catch(() => [])) {
                if (/^\d+$/.test(pid)) {
                    seen.add(await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""));
                }
            }
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
    })();
    return {
        stop: async () => {
            running = false;
            await loop;
            return [...seen];
        },
    };
}
