#!/usr/bin/env -S node --import tsx
// Helm's post-renderer for viz: manifests on stdin, manifests on stdout. Helm hands it no argument.
import { text } from "node:stream/consumers";
import { keepChecksums } from "./keepChecksums";

text(process.stdin)
    .then((stream) => process.stdout.write(keepChecksums(stream)))
    .catch((error: unknown) => {
        process.stderr.write(`${(error as Error).message}\n`);
        process.exitCode = 1;
    });
