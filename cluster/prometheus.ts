import type { Connection } from "./connection";
import { exchange, httpAddress, httpProblem, shownAddress, type HttpAnswer } from "./http";
import {
    getFromService,
    NoWayError,
    prometheusOfViz,
    type PrometheusService,
} from "./vizPrometheus";

/** Where a Prometheus is found. */
export type PrometheusAddress =
    /** The one that linkerd-viz, in this namespace, has its metrics from: its own, or the user's (`prometheusUrl`). */
    | { readonly kind: "viz"; readonly namespace: string }
    /** Another one, reached from this machine; `/api/v1/query` is added to the URL. */
    | { readonly kind: "url"; readonly url: string };

/** Prometheus gave no answer that could be used. The message says where, why, and what was asked; no credentials. */
export class PrometheusError extends Error {
    constructor(
        readonly place: string,
        readonly reason: string,
        readonly query: string,
        /** Whether the same question may be answered in a moment. */
        readonly transient: boolean,
    ) {
        super(`${place}: ${reason}; asked: ${cut(query)}`);
        this.name = "PrometheusError";
    }
}

/** Holds a bearer token for a Prometheus with `kind: "url"`. */
export const TOKEN_VARIABLE = "MESH_UPGRADE_PROMETHEUS_TOKEN";

const TIME_LIMIT_MS = 10_000;
const LONGEST_QUERY = 300;

/**
 * Asks for the value of an expression at this moment. The expression must give one number: an instant vector with one
 * element, or a scalar.
 * @returns undefined where the answer is empty or NaN
 * @throws PrometheusError, also where there is no answer within 10 s; the signal's reason
 */
export async function queryPrometheus(
    connection: Connection,
    address: PrometheusAddress,
    query: string,
    signal?: AbortSignal,
): Promise<number | undefined> {
    const limit = AbortSignal.timeout(TIME_LIMIT_MS);
    const either = signal ? AbortSignal.any([signal, limit]) : limit;
    let place = "Prometheus of viz";
    try {
        const there =
            address.kind === "viz"
                ? await prometheusOfViz(connection, address.namespace, either)
                : address.url;
        place =
            typeof there === "string"
                ? `Prometheus at ${shownAddress(there)}`
                : `Prometheus of viz (Service ${there.namespace}/${there.name})`;
        const answer =
            typeof there === "string"
                ? await askUrl(there, query, either)
                : await askService(connection, there, query, either);
        return numberOf(answer);
    } catch (error) {
        signal?.throwIfAborted();
        const reason = limit.aborted
            ? `no answer within ${TIME_LIMIT_MS / 1000} s`
            : httpProblem(error);
        throw new PrometheusError(place, reason, query, !(error instanceof FinalError));
    }
}

/** Asking again would not help. */
class FinalError extends Error {}

async function askUrl(url: string, query: string, signal: AbortSignal): Promise<HttpAnswer> {
    if (!URL.canParse(url)) {
        throw new FinalError("the address is no URL");
    }
    const address = httpAddress(url);
    const { origin, pathname, search } = new URL(address.url);
    const path = `${pathname.replace(/\/+$/, "")}/api/v1/query`;
    // A form, because the names of all namespaces of a wave may be longer than a URL may be.
    return exchange(
        { ...address, url: `${origin}${path}${search}` },
        { method: "POST", headers: token(), body: new URLSearchParams({ query }), signal },
    );
}

function token(): Record<string, string> {
    const value = process.env[TOKEN_VARIABLE]?.trim() ?? "";
    if (value === "") {
        return {};
    }
    // fetch would put the value into its error.
    if (!/^[\x21-\x7e]+$/.test(value)) {
        throw new FinalError(`${TOKEN_VARIABLE} holds no token (it has spaces or line breaks)`);
    }
    return { Authorization: `Bearer ${value}` };
}

async function askService(
    connection: Connection,
    service: PrometheusService,
    query: string,
    signal: AbortSignal,
): Promise<HttpAnswer> {
    // GET, for which a viewer's permissions are enough.
    const path = `/api/v1/query?${new URLSearchParams({ query }).toString()}`;
    try {
        return await getFromService(connection, service, path, signal);
    } catch (error) {
        throw error instanceof NoWayError && error.final ? new FinalError(error.message) : error;
    }
}

function numberOf({ status, text, location }: HttpAnswer): number | undefined {
    const answer = parsed(text) as QueryAnswer;
    if (answer.status === "error") {
        const final = answer.errorType === "bad_data";
        throw new (final ? FinalError : Error)(`${answer.errorType}: ${answer.error}`);
    }
    if (status < 200 || status >= 300 || answer.status !== "success") {
        const to = location === undefined ? "" : `, a redirect to ${location}`;
        const said =
            answer.status === "success" || status >= 300 ? "" : ", and no answer of Prometheus";
        const final = status === 401 || status === 403 || location !== undefined;
        throw new (final ? FinalError : Error)(`HTTP ${status}${to}${said}`);
    }
    const { resultType, result } = answer.data;
    if (resultType === "scalar") {
        return numeric((result as Sample)[1]);
    }
    const elements = result as { value: Sample }[];
    if (resultType !== "vector" || elements.length > 1) {
        const given = resultType === "vector" ? `${elements.length} series` : `a ${resultType}`;
        throw new FinalError(
            `the query gives ${given}, not one number; sum(...) or max(...) makes one`,
        );
    }
    return elements[0] && numeric(elements[0].value[1]);
}

type Sample = readonly [time: number, value: string];

type QueryAnswer =
    | { status: "error"; errorType: string; error: string }
    | { status: "success"; data: { resultType: string; result: unknown } }
    | { status?: undefined };

function numeric(text: string): number | undefined {
    const value = Number(text.replace("Inf", "Infinity"));
    return Number.isNaN(value) ? undefined : value;
}

function parsed(text: string): object {
    try {
        const value: unknown = JSON.parse(text);
        return typeof value === "object" && value !== null ? value : {};
    } catch {
        return {};
    }
}

function cut(query: string): string {
    const line = query.replace(/\s+/g, " ").trim();
    return line.length > LONGEST_QUERY ? `${line.slice(0, LONGEST_QUERY)} ...` : line;
}
