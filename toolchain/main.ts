import { ensureToolchain, type Program, type Toolchain } from "./index";

async function main(): Promise<void> {
    const start = Date.now();
    const progress = (line: string) => {
        const seconds = Math.floor((Date.now() - start) / 1000);
        process.stderr.write(`[${String(seconds).padStart(4)} s] ${line}\n`);
    };
    process.stdout.write(
        table(await ensureToolchain({ progress, with: ["prometheus", "helm", "cert-manager"] })),
    );
}

/** One line per program: name, version, origin, path; absent ones at the end with the reason. */
function table({ programs, optional, absent }: Toolchain): string {
    const found = Object.entries<Program>({ ...programs, ...optional });
    const rows = found.map(([name, { version, origin, path }]) => [name, version, origin, path]);
    const missing = Object.entries(absent).map(([name, reason]) => [name, "-", "absent", reason]);
    const all = [["PROGRAM", "VERSION", "ORIGIN", "PATH"], ...rows, ...missing];
    const widths = [0, 1, 2].map((column) =>
        Math.max(...all.map((row) => (row[column] ?? "").length)),
    );
    return all
        .map((row) => `${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ")}\n`)
        .join("");
}

main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
});
