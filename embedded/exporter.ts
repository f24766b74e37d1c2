import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Whose proxies report, as the labels that viz's Prometheus adds. */
export interface Reporter {
    readonly namespace: string;
    readonly deployment: string;
}

export interface Traffic {
    readonly requestsPerSecond: number;
    /** 0 to 1. */
    readonly successRate: number;
    /** Of every request. */
    readonly latencyMs: number;
}

export interface Exporter {
    /** `http://127.0.0.1:PORT/metrics`. */
    readonly url: string;
    /** From now on this traffic arrives there; what arrived before stays counted. */
    set(reporter: Reporter, traffic: Traffic): void;
    /** Its pods are gone: nothing is reported of it any more. */
    remove(reporter: Reporter): void;
    close(): Promise<void>;
}

// Upper bounds in ms of the proxy's own histogram.
const bounds = [1, 10, 100, 1_000, 10_000].flatMap((unit) =>
    [1, 2, 3, 4, 5].map((factor) => factor * unit),
);

// Prometheus' own scrapes come in through the proxy as well, and are counted like any request.
const scrapes: Traffic = { requestsPerSecond: 0.3, successRate: 1, latencyMs: 1 };

/**
 * Plays the proxies of meshed workloads, as viz's Prometheus stores what they say after its
 * relabelling: names, labels and buckets are the real ones, the values follow from `set`.
 */
export async function startExporter(): Promise<Exporter> {
    const series = new Map<string, Counters[]>();
    const server = createServer((_request, response) => {
        const lines = [...series.values()].flat().map((one) => one.lines());
        response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4" });
        response.end(
            [
                "# TYPE response_total counter",
                ...lines.flatMap((one) => one.totals),
                "# TYPE response_latency_ms histogram",
                ...lines.flatMap((one) => one.latencies),
                "",
            ].join("\n"),
        );
    });
    await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(0, "127.0.0.1", resolve);
    });
    const keyOf = ({ namespace, deployment }: Reporter) => `${namespace}/${deployment}`;
    return {
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`,
        set: (reporter, traffic) => {
            const known = series.get(keyOf(reporter)) ?? [
                new Counters({ ...reporter, target_port: "8080", tls: "true" }, traffic),
                new Counters({ ...reporter, target_port: "4191", tls: "no_identity" }, scrapes),
            ];
            known[0]?.change(traffic);
            series.set(keyOf(reporter), known);
        },
        remove: (reporter) => void series.delete(keyOf(reporter)),
        close: () =>
            new Promise((resolve) => {
                server.close(() => resolve());
                server.closeAllConnections();
            }),
    };
}

const succeeded = ',classification="success"';
const failed = ',classification="failure"';

/** What one workload's proxies have counted on one port. */
class Counters {
    private readonly labels: string;
    private readonly responses = { success: 0, failure: 0 };
    private readonly buckets = new Map<number, number>();
    private sum = 0;
    private at = Date.now();

    constructor(
        labels: Readonly<Record<string, string>>,
        private traffic: Traffic,
    ) {
        this.labels = Object.entries({ direction: "inbound", ...labels })
            .map(([name, value]) => `${name}="${value}"`)
            .join(",");
    }

    change(traffic: Traffic): void {
        this.count();
        this.traffic = traffic;
    }

    lines(): { totals: string[]; latencies: string[] } {
        this.count();
        const { success, failure } = this.responses;
        const total = success + failure;
        const name = (suffix: string, status: number, extra = "") =>
            `response_${suffix}{${this.labels},status_code="${status}"${extra}}`;
        const bucket = (le: string) => name("latency_ms_bucket", 200, `,le="${le}"`);
        const below = (bound: number) =>
            [...this.buckets].reduce((sum, [latency, n]) => sum + (latency <= bound ? n : 0), 0);
        return {
            // A proxy reports a class of responses only once it has seen one.
            totals: [
                ...(success > 0 ? [`${name("total", 200, succeeded)} ${success}`] : []),
                ...(failure > 0 ? [`${name("total", 503, failed)} ${failure}`] : []),
            ],
            latencies: [
                ...bounds.map((bound) => `${bucket(String(bound))} ${below(bound)}`),
                `${bucket("+Inf")} ${total}`,
                `${name("latency_ms_sum", 200)} ${this.sum}`,
                `${name("latency_ms_count", 200)} ${total}`,
            ],
        };
    }

    private count(): void {
        const now = Date.now();
        const { requestsPerSecond, successRate, latencyMs } = this.traffic;
        const requests = ((now - this.at) / 1000) * requestsPerSecond;
        this.at = now;
        this.responses.success += requests * successRate;
        this.responses.failure += requests * (1 - successRate);
        this.buckets.set(latencyMs, (this.buckets.get(latencyMs) ?? 0) + requests);
        this.sum += requests * latencyMs;
    }
}
