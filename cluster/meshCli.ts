import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A CLI that is asked for its version is not waited for longer. */
const TIMEOUT_MS = 3_000;

const ASKED = {
    linkerd: ["version", "--client", "--short"],
    istioctl: ["version", "--remote=false", "--short"],
} as const;

export type MeshCli = keyof typeof ASKED;

/** Version of the CLI on PATH: `edge-24.7.5`, `1.27.1`; undefined where there is none, or it does not say. */
export async function meshCliVersion(cli: MeshCli): Promise<string | undefined> {
    try {
        const { stdout } = await run(cli, ASKED[cli], { timeout: TIMEOUT_MS });
        // Some releases of istioctl write `client version: 1.27.1`.
        return /(\S+)\s*$/.exec(stdout)?.[1];
    } catch {
        return undefined;
    }
}
