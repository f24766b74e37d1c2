import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Leashed, startLeashed } from "./leash";
import { freePorts } from "./ports";

export interface PrometheusOptions {
    /** Of the toolchain: `ensureToolchain({ with: ["prometheus"] })`. */
    readonly program: { readonly path: string };
    /** Made where it is missing; holds configuration and data, and stays after `stop`. */
    readonly directory: string;
    /** What is scraped, and how often; or the whole configuration. */
    readonly scrape:
        | { readonly url: string; readonly intervalSeconds: number }
        | { readonly scrape_configs: readonly object[]; readonly global?: object };
}

/** A Prometheus on this machine, reachable from this machine only. */
export interface EmbeddedPrometheus {
    /** `http://127.0.0.1:PORT`; the same for all of its life. */
    readonly url: string;
    /** Ends it. Safe to repeat. */
    stop(): Promise<void>;
    /** Starts it (again) without any data, as an upgrade of viz does to its own. */
    restartEmpty(): Promise<void>;
}

const patience = 30_000;
const attempts = 3;

/**
 * Starts Prometheus and returns when it answers. It ends with this process, however that ends.
 * Throws with its last words where it does not start.
 */
export async function startPrometheus(options: PrometheusOptions): Promise<EmbeddedPrometheus> {
    const { directory } = options;
    const data = join(directory, "data");
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, "prometheus.json"), JSON.stringify(configuration(options)));
    for (let attempt = 1; ; attempt++) {
        const [port = 0] = await freePorts(1);
        try {
            let running = await run(options, port);
            const stop = () => running.end();
            return {
                url: `http://127.0.0.1:${port}`,
                stop,
                restartEmpty: async () => {
                    await stop();
                    await rm(data, { recursive: true, force: true });
                    running = await run(options, port);
                },
            };
        } catch (error) {
            if (attempt === attempts || !/address already in use/.test(String(error))) throw error;
        }
    }
}

function configuration({ scrape }: PrometheusOptions): object {
    if (!("url" in scrape)) return scrape;
    const { host, pathname, protocol } = new URL(scrape.url);
    const interval = `${scrape.intervalSeconds * 1000}ms`;
    return {
        global: { scrape_interval: interval, scrape_timeout: interval },
        scrape_configs: [
            {
                job_name: "linkerd-proxy",
                scheme: protocol.slice(0, -1),
                metrics_path: pathname,
                static_configs: [{ targets: [host] }],
            },
        ],
    };
}

async function run(options: PrometheusOptions, port: number): Promise<Leashed> {
    const { program, directory } = options;
    const running = startLeashed(program.path, [
        `--config.file=${join(directory, "prometheus.json")}`,
        `--storage.tsdb.path=${join(directory, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
    ]);
    try {
        await untilReady(running, port);
    } catch (error) {
        await running.end();
        throw error;
    }
    return running;
}

async function untilReady(running: Leashed, port: number): Promise<void> {
    const deadline = Date.now() + patience;
    for (;;) {
        const answer = await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => undefined);
        await answer?.arrayBuffer();
        if (running.ended) throw new Error(`Prometheus ended: ${running.log}`);
        if (answer?.ok) return;
        if (Date.now() > deadline) {
            throw new Error(`Prometheus is not ready after ${patience / 1000} s: ${running.log}`);
        }
        await sleep(50);
    }
}
