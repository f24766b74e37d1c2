// Benchmarks on an embedded cluster: `npm run bench -- rollout --help`.
import { spawn } from "node:child_process";
import { bootstrap, project } from "./bootstrap.mjs";

const benches = {
    rollout: "rollout.ts",
    "rollout-large": "rolloutLarge.ts",
    preview: "preview.ts",
};
const [name, ...options] = process.argv.slice(2);
const script = benches[name];
if (!script) {
    console.error(`npm run bench -- ${Object.keys(benches).join("|")} [--json] [--help]`);
    process.exit(1);
}
bootstrap();
const child = spawn(process.execPath, ["--import", "tsx", `test/bench/${script}`, ...options], {
    cwd: project,
    stdio: "inherit",
});
// The benchmark cleans up after itself and then ends by itself.
for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, () => child.kill(signal));
}
child.on("close", (code) => process.exit(code ?? 1));
