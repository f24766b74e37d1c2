import { reasonOf } from "../cluster/connection";

/** Runs a program of a command resource: what it prints is its result, an error is told in words. */
export function runProgram(main: () => Promise<void>): void {
    main().catch((error: unknown) => {
        process.stderr.write(`${reasonOf(error)}\n`);
        process.exitCode = 1;
    });
}
