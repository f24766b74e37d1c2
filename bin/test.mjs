// Lint, types, unit tests and end-to-end tests, with the time of each part and one closing line over all tests.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bootstrap, project } from "./bootstrap.mjs";

const only = process.argv[2];
const scratch = mkdtempSync(join(tmpdir(), "mesh-test-"));
const times = [];
let running;

function run(name, command, args) {
    const started = Date.now();
    console.log(`\n== ${name}`);
    return new Promise((resolve) => {
        running = spawn(command, args, { cwd: project, stdio: ["ignore", "inherit", "inherit"] });
        running.on("error", () => resolve(1));
        running.on("close", (code) => {
            const seconds = Math.round((Date.now() - started) / 1000);
            times.push(`${name} ${seconds} s${code === 0 ? "" : " (FAILED)"}`);
            resolve(code ?? 1);
        });
    });
}

const npx = (...args) => [
    process.execPath,
    [join(project, "node_modules", ...args[0]), ...args[1]],
];

async function main() {
    bootstrap();
    let failed = 0;
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const check = async (name, bin, args) => {
        const code = await run(name, ...npx(bin, args));
        failed += code === 0 ? 0 : 1;
        counts[code === 0 ? "passed" : "failed"] += 1;
    };
    const tests = async (part) => {
        const report = join(scratch, `${part}.json`);
        const code = await run(
            `${part} tests`,
            ...npx(
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
    if (!only || only === "e2e") {
        // Before the tests, so that a build of twenty minutes meets no test's time limit.
        const toolchain = await run("toolchain", process.execPath, [
            "--import",
            "tsx",
            "toolchain/main.ts",
        ]);
        if (toolchain === 0) {
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
    process.on(signal, () => running?.kill(signal));
}
const code = await main().finally(() => rmSync(scratch, { recursive: true, force: true }));
process.exit(code);
