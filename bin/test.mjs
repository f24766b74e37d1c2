// Lint, types, unit tests and end-to-end tests, with the time of each part and one closing line over all tests.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { constants, setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { bootstrap, project } from "./bootstrap.mjs";

const only = process.argv[2];
const scratch = mkdtempSync(join(tmpdir(), "mesh-test-"));
const times = [];
const running = new Set();

/** Starts a program; its exit code, and how long it took, once it has ended. */
function start(args, stdio = "inherit") {
    const started = Date.now();
    const child = spawn(process.execPath, args, {
        cwd: project,
        stdio: ["ignore", stdio, stdio],
    });
    running.add(child);
    const ended = new Promise((resolve) => {
        const end = (code) => {
            running.delete(child);
            resolve({ code: code ?? 1, seconds: Math.round((Date.now() - started) / 1000) });
        };
        child.on("error", () => end(1));
        child.on("close", end);
    });
    return { child, ended };
}

/** Waits for a program that was started; its exit code. */
async function finish(name, { ended }) {
    const { code, seconds } = await ended;
    times.push(`${name} ${seconds} s${code === 0 ? "" : " (FAILED)"}`);
    return code;
}

function run(name, args) {
    console.log(`\n== ${name}`);
    return finish(name, start(args));
}

/**
 * The programs, where there is time beside other parts, which come first: of its lines those of before are shown when it is
 * waited for.
 */
function startToolchain() {
    const part = start(["--import", "tsx", "toolchain/main.ts"], "pipe");
    const { child } = part;
    try {
        setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
    } catch {
        // It has ended, or this system has no priorities.
    }
    let held = "";
    const hold = (data) => (held += data.toString());
    child.stdout.on("data", hold);
    child.stderr.on("data", hold);
    return () => {
        console.log("\n== toolchain");
        process.stdout.write(held);
        child.stdout.off("data", hold).pipe(process.stdout, { end: false });
        child.stderr.off("data", hold).pipe(process.stderr, { end: false });
        return finish("toolchain", part);
    };
}

const npx = (bin, args) => [join(project, "node_modules", ...bin), ...args];

async function main() {
    bootstrap();
    let failed = 0;
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const check = async (name, bin, args) => {
        const code = await run(name, npx(bin, args));
        failed += code === 0 ? 0 : 1;
        counts[code === 0 ? "passed" : "failed"] += 1;
    };
    const tests = async (part) => {
        const report = join(scratch, `${part}.json`);
        const code = await run(
            `${part} tests`,
            npx(
                ["vitest", "vitest.mjs"],
                [
                    "run",
                    "--project",
                    part,
                    "--reporter=verbose",
                    "--reporter=json",
                    `--outputFile.json=${report}`,
                ],
            ),
        );
        failed += code === 0 ? 0 : 1;
        try {
            const result = JSON.parse(readFileSync(report, "utf8"));
            counts.passed += result.numPassedTests;
            counts.failed += result.numFailedTests;
            counts.skipped += result.numPendingTests + (result.numTodoTests ?? 0);
            if (code !== 0 && result.numFailedTests === 0) counts.failed += 1;
        } catch {
            // No report: the runner itself failed.
            counts.failed += 1;
        }
    };
    // Ready before the tests that need it, so that a build of twenty minutes meets no test's time limit.
    const toolchain = only === "unit" ? undefined : startToolchain();
    if (!only) {
        await check("lint", ["eslint", "bin", "eslint.js"], [".", "--max-warnings", "0"]);
        await check(
            "format",
            ["prettier", "bin", "prettier.cjs"],
            ["--check", "--log-level", "warn", "."],
        );
        await check("types", ["typescript", "bin", "tsc"], []);
    }
    if (!only || only === "unit") await tests("unit");
    if (toolchain) {
        if ((await toolchain()) === 0) {
            await tests("e2e");
        } else {
            failed += 1;
            counts.failed += 1;
        }
    }
    console.log(`\ntime of each part: ${times.join(", ")}`);
    const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
    console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
    return failed === 0 ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, () => running.forEach((child) => child.kill(signal)));
}
const code = await main().finally(() => rmSync(scratch, { recursive: true, force: true }));
process.exit(code);
