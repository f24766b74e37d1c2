import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { isAbsolute, join, relative, resolve } from "node:path";
import * as tar from "tar";
import { parse } from "yaml";
import { z } from "zod";
import { RefusedError, type Fault } from "../plan/faults";
import type { ChartDefaults } from "../plan/settings";
import { isMap } from "../plan/values";
import type { ChartValues } from "../config";
import { pullChart } from "./registry";
import { fetchChart } from "./repository";
import { UNVERIFIED, verifyChart, type Verification } from "./verify";

/** A chart of one exact version. */
export interface ChartRequest {
    readonly name: string;
    readonly version: string;
    /** Where this chart comes from instead of where all do. */
    readonly source?: string | undefined;
    /** What to do where it is not to be had. Defaults to what holds for charts of linkerdVersion. */
    readonly next?: string | undefined;
}

/** A chart on disk, checked to be the one that was asked for. */
export interface LocatedChart extends ChartRequest {
    /**
     * Path relative to the project, `./.charts/<sha256>/<name>[-<version>.tgz]`: the same on every machine, so
     * that it may stand in a resource's inputs, and another for another content.
     */
    readonly path: string;
    /** The chart's own range, as in `>=1.22.0-0`. */
    readonly kubeVersion: string | undefined;
}

const chartYaml = z.looseObject({
    name: z.string(),
    version: z.string(),
    kubeVersion: z.string().optional(),
});

/**
 * Finds every chart in `source`: a Helm repository (`https://...`), a folder of an OCI registry (`oci://...`), an archive
 * of this one chart, or a directory that holds `<name>-<version>/` or `<name>-<version>.tgz` for each (as
 * `helm pull [--untar]` names them). Each is verified before anything of it is used.
 * Returns a fault for each chart that is missing, unreadable, of another release or not what was verified.
 */
export async function locateCharts(
    source: string,
    requests: readonly ChartRequest[],
    projectDirectory = process.cwd(),
    verification = UNVERIFIED,
): Promise<{ readonly located: readonly LocatedChart[]; readonly faults: readonly Fault[] }> {
    // In the order of the requests, however long each takes: a refusal reads the same every time.
    const results = await Promise.all(
        requests.map(async (request) => {
            const from = request.source ?? source;
            try {
                return { located: await locate(from, request, projectDirectory, verification) };
            } catch (error) {
                if (error instanceof RefusedError) {
                    return { faults: error.faults };
                }
                // Only the first line: parsers add a snippet of what they read.
                const reason = (error as Error).message.split("\n")[0];
                return { faults: [fault(request, `cannot be read from ${from} (${reason})`)] };
            }
        }),
    );
    const located = results.flatMap((one) => one.located ?? []);
    const faults = results.flatMap((one) => one.faults ?? []);
    return { located, faults };
}

async function locate(
    source: string,
    request: ChartRequest,
    projectDirectory: string,
    verification: Verification,
): Promise<LocatedChart> {
    const found = await find(source, request, projectDirectory, verification);
    await verifyChart(found, stemOf(request), {
        ...verification,
        keyring: verification.keyring && resolve(projectDirectory, verification.keyring),
    }).catch(async (error: unknown) => {
        // What was downloaded and is not what it has to be is not kept: the next run asks again.
        if (isRemote(source)) {
            await Promise.all([rm(found, { force: true }), rm(`${found}.prov`, { force: true })]);
        }
        throw error;
    });
    const metadata = chartYaml.safeParse(
        parse(await readChartFile(found, request.name, "Chart.yaml")),
    );
    if (!metadata.success) {
        throw new RefusedError([fault(request, `${found} has no valid Chart.yaml`)]);
    }
    const { name, version, kubeVersion } = metadata.data;
    if (name !== request.name || version !== request.version) {
        throw new RefusedError([
            {
                subject: `chart ${request.name} ${request.version}`,
                value: `${name} ${version}`,
                rule: `the chart at ${found} is of another release than the version line`,
                next: `put ${request.name} ${request.version} there (helm pull ${request.name} --version ${request.version}), or set linkerdVersion to the release of the chart`,
            },
        ]);
    }
    return { name, version, path: await addressByContent(found, projectDirectory), kubeVersion };
}

function stemOf({ name, version }: ChartRequest): string {
    return `${name}-${version}`;
}

function isRemote(source: string): boolean {
    return /^(https?|oci):\/\//.test(source);
}

async function find(
    source: string,
    request: ChartRequest,
    projectDirectory: string,
    { keyring }: Verification,
): Promise<string> {
    if (isRemote(source)) {
        const get = source.startsWith("oci:") ? pullChart : fetchChart;
        return get(source, request, keyring !== undefined);
    }
    const path = isAbsolute(source) ? source : resolve(projectDirectory, source);
    return (await stat(path)).isFile() ? path : findInDirectory(source, path, request);
}

async function findInDirectory(
    source: string,
    directory: string,
    request: ChartRequest,
): Promise<string> {
    const names = await readdir(directory);
    const stem = stemOf(request);
    const found = [stem, `${stem}.tgz`].find((name) => names.includes(name));
    if (found === undefined) {
        const others = names.filter((name) => name.startsWith(`${request.name}-`)).sort();
        throw new RefusedError([
            fault(
                request,
                `is not in ${source}; it has: ${others.join(", ") || "no version of this chart"}`,
            ),
        ]);
    }
    return join(directory, found);
}

function fault(request: ChartRequest, rule: string): Fault {
    return {
        subject: `chart ${request.name} ${request.version}`,
        rule,
        next:
            request.next ??
            (request.name === "linkerd-crds"
                ? "add it to charts: the CRDs in the cluster are of this version, or linkerdVersion asks for it"
                : "set linkerdVersion to a release that exists, or charts to a repository or directory that has it"),
    };
}

/** What charts that were located say of their settings, by name and version: `linkerd-viz 2024.5.3`. */
export async function readDefaults(
    charts: readonly LocatedChart[],
    projectDirectory = process.cwd(),
): Promise<ReadonlyMap<string, ChartDefaults>> {
    const entries = charts.map(async ({ path, name, version }) => {
        const chart = resolve(projectDirectory, path);
        const file = await readChartFile(chart, name, "values.yaml");
        const values: unknown = parse(file, { uniqueKeys: false });
        const defaults = {
            values: isMap(values) ? values : {},
            templates: await readTemplates(chart),
            highAvailability: await readHighAvailability(chart, name),
        };
        return [`${name} ${version}`, defaults] as const;
    });
    return new Map(await Promise.all(entries));
}

async function readHighAvailability(chart: string, name: string): Promise<ChartValues | undefined> {
    const file = await readChartFile(chart, name, "values-ha.yaml").catch(() => "");
    const values: unknown = parse(file, { uniqueKeys: false });
    return isMap(values) ? values : undefined;
}

const TEMPLATE = /(^|\/)templates\/.+\.(tpl|ya?ml)$/;

/** Every template as one text, those of charts inside the chart included. */
async function readTemplates(path: string): Promise<string> {
    if (!(await stat(path)).isDirectory()) {
        return readPacked(path, (name) => TEMPLATE.test(name));
    }
    const isPacked = (name: string) => name.endsWith(".tgz");
    const names = await readdir(path, { recursive: true });
    const texts = names
        .filter((name) => isPacked(name) || TEMPLATE.test(name))
        .map((name) => join(path, name))
        .map((file) => (isPacked(file) ? readTemplates(file) : readFile(file, "utf8")));
    return (await Promise.all(texts)).join("\n");
}

async function readChartFile(path: string, name: string, file: string): Promise<string> {
    if ((await stat(path)).isDirectory()) {
        return readFile(join(path, file), "utf8");
    }
    return readPacked(path, (entry) => entry === `${name}/${file}`);
}

async function readPacked(path: string, wanted: (name: string) => boolean): Promise<string> {
    const chunks: Buffer[] = [];
    await tar.list({
        file: path,
        onReadEntry: (entry) => {
            if (wanted(entry.path)) {
                entry.on("data", (chunk: Buffer) => chunks.push(chunk));
            }
        },
    });
    return Buffer.concat(chunks).toString();
}

/** Copies a chart to where its content alone says, and returns that path, relative to the project. */
export async function addressByContent(path: string, projectDirectory: string): Promise<string> {
    const hash = createHash("sha256");
    for (const file of await filesBelow(path)) {
        hash.update(`${relative(path, file)}\0`).update(await readFile(file));
    }
    const digest = hash.digest("hex");
    const parent = join(projectDirectory, ".charts", digest);
    const name = path.split("/").at(-1) ?? "chart";
    const target = `./.charts/${digest}/${name}`;
    if (await exists(join(parent, name))) {
        return target;
    }
    // Made aside and moved, so that a run beside this one never sees half a chart.
    const aside = `${parent}.${process.pid}.tmp`;
    await mkdir(aside, { recursive: true });
    await cp(path, join(aside, name), { recursive: true });
    await rename(aside, parent).catch(() => rm(aside, { recursive: true }));
    return target;
}

async function filesBelow(path: string): Promise<string[]> {
    if (!(await stat(path)).isDirectory()) {
        return [path];
    }
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    return entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort();
}

function exists(path: string): Promise<boolean> {
    return stat(path).then(
        () => true,
        () => false,
    );
}
