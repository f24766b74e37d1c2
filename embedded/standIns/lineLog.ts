/** Cuts output into lines, as Go's bufio.Scanner does for the official provider. */
export class LineLog {
    /** The error for a line that the official provider cannot take. */
    static readonly tooLong =
        "stand-in for the command provider: killed, as a logged line of 64 KiB or more makes the " +
        'official command provider hang for ever (print shorter lines, or set logging: "none")';

    private pending = Buffer.alloc(0);
    private broken = false;

    /**
     * @param log gets each line without its end.
     * @param onTooLong is called once, for the first line of 64 KiB or more; no line follows.
     */
    constructor(
        private readonly log: (line: string) => void,
        private readonly onTooLong: () => void,
    ) {}

    write(chunk: Buffer): void {
        if (this.broken) return;
        this.pending = Buffer.concat([this.pending, chunk]);
        let end = this.pending.indexOf("\n");
        while (end >= 0 && end < limit) {
            this.log(line(this.pending.subarray(0, end)));
            this.pending = this.pending.subarray(end + 1);
            end = this.pending.indexOf("\n");
        }
        if (this.pending.length >= limit) {
            this.broken = true;
            this.onTooLong();
        }
    }

    /** Logs what came after the last newline. */
    end(): void {
        if (!this.broken && this.pending.length > 0) this.log(line(this.pending));
    }
}

/** bufio.MaxScanTokenSize */
const limit = 64 * 1024;

function line(bytes: Buffer): string {
    return bytes.toString("utf8").replace(/\r$/, "");
}
