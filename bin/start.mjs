import { spawn } from "node:child_process";
import { bootstrap, project } from "./bootstrap.mjs";

bootstrap();
const child = spawn(
    process.execPath,
    ["--import", "tsx", "embedded/demo.ts", ...process.argv.slice(2)],
    { cwd: project, stdio: "inherit" },
);
// The demo cleans up after itself; it gets the terminal's signals too and ends by itself.
for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, () => {
        if (signal === "SIGTERM") child.kill(signal);
    });
}
child.on("close", (code) => process.exit(code ?? 1));
