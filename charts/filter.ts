import { text } from "node:stream/consumers";

/** A post-renderer of Helm's: manifests on stdin, manifests on stdout, an error as one line and exit code 1. */
export function filter(change: (manifests: string) => string): void {
    text(process.stdin)
        .then((manifests) => process.stdout.write(change(manifests)))
        .catch((error: unknown) => {
            process.stderr.write(`${(error as Error).message}\n`);
            process.exitCode = 1;
        });
}
