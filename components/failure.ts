import * as pulumi from "@pulumi/pulumi";

/**
 * An error for people: its text, without a stack. Pulumi formats the stack of every error that ends a program, and
 * mapping one through the source maps of all loaded modules takes 20 s.
 */
export function failure(message: string): Error {
    const error = new pulumi.RunError(message);
    error.stack = `${error.name}: ${message}`;
    return error;
}
