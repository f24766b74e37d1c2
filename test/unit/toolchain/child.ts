// Run by processes.test.ts as a process of its own: gets the stand-in program into the cache of
// its environment, writes progress lines and the outcome to standard output.
import { ensurePrograms } from "../../../toolchain/ensure";
import { defaultLimits } from "../../../toolchain/limits";
import { currentPlatform } from "../../../toolchain/spec";
import { builtSpec, toolSpec } from "./support";

const [kind, goFolder = ""] = process.argv.slice(2);

ensurePrograms({
    specs: [kind === "build" ? builtSpec() : toolSpec()],
    environment: process.env,
    progress: (line) => console.log(line),
    limits: { ...defaultLimits, lockPoll: 20 },
    platform: currentPlatform(),
    goFolder,
}).then(
    ({ programs }) => console.log(`origin ${programs.get("mesh-test-tool")?.origin}`),
    (error: unknown) => {
        console.log(String(error));
        process.exitCode = 1;
    },
);
