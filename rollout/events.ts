import type { WorkloadPlan } from "../plan/dataPlane";
import type { Log } from "./log";

/** What a wave tells while it runs; each is a line for people, and a line of JSON on request. */
export type RolloutEvent =
    | {
          readonly type: "wave";
          readonly wave: string;
          readonly target: string;
          readonly workloads: number;
          readonly pods: number;
          readonly current: number;
          readonly podsToGo: number;
          /** Pods per minute. */
          readonly pace: number | "unlimited";
          readonly atOnce: number | "unlimited";
      }
    | { readonly type: "check"; readonly passed: string }
    | { readonly type: "note"; readonly text: string }
    | {
          readonly type: "workload";
          readonly workload: string;
          readonly state: "started";
          readonly action: WorkloadPlan["action"];
          readonly pods: number;
          readonly from: readonly string[];
      }
    | {
          readonly type: "workload";
          readonly workload: string;
          readonly state: "waits";
          readonly reason: string;
      }
    | {
          readonly type: "workload";
          readonly workload: string;
          readonly state: "rolling";
          readonly updated: number;
          readonly available: number;
          readonly wanted: number;
      }
    | {
          readonly type: "workload";
          readonly workload: string;
          readonly state: "done" | "gone" | "current";
          readonly seconds: number;
      }
    | {
          readonly type: "workload";
          readonly workload: string;
          readonly state: "held" | "failed";
          readonly reason: string;
      }
    | ({ readonly type: "summary" } & Progress)
    | { readonly type: "gate"; readonly gate: string; readonly state: "begins" | "passed" }
    | {
          readonly type: "gate";
          readonly gate: string;
          readonly state: "waits";
          readonly text: string;
      }
    | {
          readonly type: "gate";
          readonly gate: string;
          readonly state: "failed";
          readonly failures: readonly string[];
      };

export interface Progress {
    readonly wave: string;
    readonly workloadsDone: number;
    readonly workloads: number;
    readonly podsDone: number;
    readonly pods: number;
    readonly podsPerMinute: number;
    /** Estimate of what is left; undefined until something is done. */
    readonly secondsLeft: number | undefined;
}

export type Emit = (event: RolloutEvent) => void;

/** Writes each event as a line for people. */
export function toLog(log: Log): Emit {
    return (event) => {
        const kind = event.type === "summary" ? "progress" : "detail";
        linesOf(event).forEach((line) => log(line, kind));
    };
}

/** One line an event; more only where a gate failed for several reasons. */
export function linesOf(event: RolloutEvent): string[] {
    switch (event.type) {
        case "wave":
            return [
                `wave ${event.wave}: ${event.current} of ${event.pods} pods run ${event.target}; ${event.workloads} workloads (${event.podsToGo} pods) to go, ${event.pace === "unlimited" ? "no limit of pace" : `${event.pace} pods a minute`}, ${event.atOnce === "unlimited" ? "all" : `up to ${event.atOnce} workloads`} at once`,
            ];
        case "check":
            return [`check: ${event.passed}`];
        case "note":
            return [event.text];
        case "workload":
            return [`${event.workload}: ${workloadText(event)}`];
        case "summary":
            return [summaryText(event)];
        case "gate":
            return gateLines(event);
    }
}

function workloadText(event: Extract<RolloutEvent, { type: "workload" }>): string {
    switch (event.state) {
        case "started":
            return `${event.action} (${event.pods} pods, proxy ${event.from.join(", ")})`;
        case "waits":
            return `waits: ${event.reason}`;
        case "rolling":
            return `${event.updated} of ${event.wanted} new, ${event.available} available`;
        case "done":
            return `done after ${event.seconds} s`;
        case "gone":
            return "was deleted meanwhile";
        case "current":
            return "is current by now; not restarted";
        case "held":
            return `is held back by now, not restarted: ${event.reason}`;
        case "failed":
            return `FAILED: ${event.reason}`;
    }
}

function summaryText(event: Progress): string {
    const left =
        event.secondsLeft === undefined ? "" : `, about ${durationText(event.secondsLeft)} left`;
    return `wave ${event.wave}: ${event.workloadsDone} of ${event.workloads} workloads, ${event.podsDone} of ${event.pods} pods, ${event.podsPerMinute} pods a minute${left}`;
}

function gateLines(event: Extract<RolloutEvent, { type: "gate" }>): string[] {
    switch (event.state) {
        case "begins":
            return [`gate ${event.gate}: begins`];
        case "passed":
            return [`gate ${event.gate}: passed`];
        case "waits":
            return [`gate ${event.gate}: ${event.text}`];
        case "failed":
            return event.failures.map((failure) => `gate ${event.gate}: FAILED: ${failure}`);
    }
}

/** `40 s`, `12 min`, `3 h 5 min`. */
export function durationText(seconds: number): string {
    if (seconds < 120) {
        return `${Math.ceil(seconds)} s`;
    }
    const minutes = Math.round(seconds / 60);
    return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
