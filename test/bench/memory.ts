import { readFileSync } from "node:fs";

const EVERY_MS = 100;

/**
 * Watches how much memory processes take: of those that run at a time, with their children, the sum of the most that
 * each has had (VmHWM of /proc). Linux only; elsewhere nothing is measured.
 */
export class PeakMemory {
    private readonly roots = new Set<number>();
    private peak = 0;
    private readonly timer = setInterval(() => this.look(), EVERY_MS);

    follow(pid: number): void {
        this.roots.add(pid);
    }

    forget(pid: number): void {
        this.roots.delete(pid);
    }

    /** The peak in MiB; undefined where it could not be measured. */
    stop(): number | undefined {
        clearInterval(this.timer);
        return this.peak === 0 ? undefined : Math.round(this.peak / 1024);
    }

    private look(): void {
        const sum = [...this.roots].reduce((total, pid) => total + mostOf(pid), 0);
        this.peak = Math.max(this.peak, sum);
    }
}

/** In KiB, with its children. */
function mostOf(pid: number): number {
    const own = /^VmHWM:\s*(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1] ?? "0";
    const children = read(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean);
    return children.reduce((sum, child) => sum + mostOf(Number(child)), Number(own));
}

function read(path: string): string {
    try {
        return readFileSync(path, "utf8");
    } catch {
        // It has ended.
        return "";
    }
}
