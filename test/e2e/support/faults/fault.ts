/** Something that is wrong until it is put right. */
export interface Fault {
    /** Puts it right and returns when it is. Safe to repeat. */
    undo(): Promise<void>;
}

/** A fault whose `undo` runs until it has succeeded once, however often it is called. */
export function fault(putRight: () => Promise<void>): Fault {
    let done: Promise<void> | undefined;
    return {
        undo: () =>
            (done ??= putRight().catch((error: unknown) => {
                done = undefined;
                throw error;
            })),
    };
}
