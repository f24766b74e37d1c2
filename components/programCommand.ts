import * as command from "@pulumi/command";

/** Inputs that the project's own programs share when they run as command resources. */
export const programCommand = {
    // No shell: nothing to quote, and a signal reaches the program itself.
    // A small young generation: a watch of many pods makes garbage all the time.
    // And code that is kept small: importing the Kubernetes client is most of what a rollout needs.
    interpreter: ["node", "--max-semi-space-size=2", "--optimize-for-size", "bin/run.cjs"],
    // A change that is no trigger must not run it again.
    update: "rollout/replay.ts",
    // stdout is the result; what people read comes on stderr.
    logging: command.types.enums.local.Logging.Stderr,
};
