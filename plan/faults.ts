/** One reason why the program stops before anything changes. */
export interface Fault {
    /** What is at fault: a config key (`linkerdVersion`) or an object (`Secret linkerd/linkerd-identity-issuer`). */
    readonly subject: string;
    /** The value that was found; never a secret. */
    readonly value?: string | undefined;
    /** The rule that it breaks. */
    readonly rule: string;
    /** The next step: a command to type, or an edit of the stack file. */
    readonly next: string;
}

/** Thrown with every fault at once; nothing has been changed when it is. */
export class RefusedError extends Error {
    constructor(readonly faults: readonly Fault[]) {
        super(formatFaults(faults));
        this.name = "RefusedError";
    }
}

/** A heading and one numbered block per fault, fit for a terminal and for a log. */
export function formatFaults(
    faults: readonly Fault[],
    heading = "mesh-upgrade refused; nothing was changed",
): string {
    const lines = faults.map((fault, index) => {
        const value = fault.value === undefined ? "" : ` = ${JSON.stringify(fault.value)}`;
        return `  ${index + 1}. ${fault.subject}${value}: ${fault.rule}\n     next: ${fault.next}`;
    });
    return [`${heading}:`, ...lines].join("\n");
}
