// Plain Node, so that it runs in a fresh clone: installs the packages of the lockfile where they are missing or
// of another lockfile.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const project = join(dirname(fileURLToPath(import.meta.url)), "..");

const lockfile = join(project, "package-lock.json");
const installed = join(project, "node_modules", ".installed-lock.json");

/** Ends the process with one clear line where Node is too old or the installation fails. */
export function bootstrap() {
    const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
    if (major < 20 || (major === 20 && minor < 20)) {
        console.error(`Node ${process.versions.node} is too old: install Node 20.20 or newer.`);
        process.exit(1);
    }
    if (existsSync(installed) && readFileSync(installed).equals(readFileSync(lockfile))) {
        return;
    }
    console.log("Installing the packages of package-lock.json (npm ci), once per lockfile ...");
    const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
        cwd: project,
        stdio: ["ignore", "inherit", "inherit"],
    });
    if (status !== 0) {
        console.error(
            "npm ci failed: see above. Next: check the network or the registry, run again.",
        );
        process.exit(1);
    }
    copyFileSync(lockfile, installed);
}
