import { spawn } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { launch, type Page } from "puppeteer-core";
import { candidates } from "../../../toolchain/path";

/** Names under which systems have a browser that speaks Chrome's protocol. */
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/** What a page did when it was opened, and the page. */
export interface OpenPage {
    readonly page: Page;
    /** URLs of all requests, the file's own first. */
    readonly requests: readonly string[];
    /** Console messages and errors of the page. */
    readonly complaints: readonly string[];
}

export interface Browser {
    /** For the log: `/usr/bin/chromium`, `Chromium of @sparticuz/chromium`. */
    readonly name: string;
    open(file: string, window: { width: number; height: number }): Promise<OpenPage>;
    close(): Promise<void>;
}

/**
 * A headless browser: one on PATH, else the Chromium that the dev dependency @sparticuz/chromium carries (Linux, x64).
 * Undefined where neither is to be had, or starts. Its files are in a directory of their own, which goes with this process, however
 * that ends, as the browser does.
 */
export async function openBrowser(): Promise<Browser | undefined> {
    const directory = await realpath(await mkdtemp(join(tmpdir(), "mesh-browser-")));
    const guard = removeAfterEnd(directory);
    const remove = async () => {
        await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
        guard();
    };
    try {
        const program = await findProgram(directory);
        if (!program) {
            await remove();
            return undefined;
        }
        const profile = join(directory, "profile");
        await mkdir(profile);
        const browser = await launch({
            executablePath: program.path,
            // The pipe closes with this process, and the browser with the pipe.
            pipe: true,
            headless: true,
            userDataDir: profile,
            env: { ...process.env, HOME: directory, TMPDIR: directory, ...program.environment },
            // Only our own file is opened, and a container or root has no sandbox.
            args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        });
        return {
            name: `${program.name} (${await browser.version()})`,
            open: async (file, window) => {
                const page = await browser.newPage();
                const requests: string[] = [];
                const complaints: string[] = [];
                page.on("request", (one) => requests.push(one.url()));
                page.on("console", (one) => complaints.push(`${one.type()}: ${one.text()}`));
                page.on("pageerror", (error) => complaints.push(String(error)));
                await page.setViewport(window);
                await page.goto(pathToFileURL(file).href, { waitUntil: "networkidle0" });
                return { page, requests, complaints };
            },
            close: async () => {
                await browser.close();
                await remove();
            },
        };
    } catch (error) {
        await remove();
        // It lacks a library of the system, say.
        console.log(`a browser was found and does not start: ${(error as Error).message}`);
        return undefined;
    }
}

interface BrowserProgram {
    readonly name: string;
    readonly path: string;
    readonly environment: NodeJS.ProcessEnv;
}

async function findProgram(directory: string): Promise<BrowserProgram | undefined> {
    for (const name of NAMES) {
        const [path] = await candidates(name, process.env);
        if (path !== undefined) {
            return { name: path, path, environment: {} };
        }
    }
    if (process.platform !== "linux" || process.arch !== "x64") {
        return undefined;
    }
    const { default: chromium } = await import("@sparticuz/chromium");
    const before = process.env["TMPDIR"];
    // Where the package unpacks to.
    process.env["TMPDIR"] = directory;
    try {
        const path = await chromium.executablePath();
        const FONTCONFIG_FILE = join(directory, "fonts.conf");
        // The package's own names folders of its host, and not where the fonts are now.
        await writeFile(
            FONTCONFIG_FILE,
            `<fontconfig><dir>${directory}/fonts</dir><cachedir>${directory}/cache</cachedir></fontconfig>`,
        );
        const environment = { FONTCONFIG_FILE };
        return { name: "Chromium of @sparticuz/chromium", path, environment };
    } finally {
        if (before === undefined) {
            delete process.env["TMPDIR"];
        } else {
            process.env["TMPDIR"] = before;
        }
    }
}

/** Removes the directory when this process ends, however it does. The result ends the guard. */
function removeAfterEnd(directory: string): () => void {
    const child = spawn(
        "/bin/sh",
        [
            "-c",
            // The browser, which ends as well, may write for another moment.
            'cat >/dev/null; for i in 1 2 3 4 5; do rm -rf "$0" && sleep 1; done; rm -rf "$0"',
            directory,
        ],
        // A session of its own: Ctrl-C in the terminal is for us.
        { stdio: ["pipe", "ignore", "ignore"], detached: true },
    );
    child.stdin.on("error", () => undefined);
    child.unref();
    return () => child.kill();
}
