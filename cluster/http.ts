import { unescape } from "node:querystring";

/** An http(s) address that a user gave, without the credentials that may stand in it. */
export interface HttpAddress {
    readonly url: string;
    /** See `shownAddress`. */
    readonly shown: string;
    readonly headers: Readonly<Record<string, string>>;
}

export interface HttpAnswer {
    readonly status: number;
    /** At most 1 MiB of it. */
    readonly text: string;
    /** Where a redirect points, fit to be shown. */
    readonly location?: string | undefined;
}

const LARGEST = 1024 * 1024;

/**
 * `http://user:password@host/` becomes the address of the host and an Authorization header.
 * @throws TypeError where it is no URL; the message does not hold it
 */
export function httpAddress(text: string): HttpAddress {
    const url = new URL(text);
    const { username, password } = url;
    url.username = "";
    url.password = "";
    const user = Buffer.from(`${unescape(username)}:${unescape(password)}`).toString("base64");
    return {
        url: url.href,
        shown: shownUrl(url),
        headers: username + password === "" ? {} : { Authorization: `Basic ${user}` },
    };
}

/** What a line may show of an address: no credentials, no query. */
export function shownAddress(text: string): string {
    return URL.canParse(text) ? shownUrl(new URL(text)) : "an address that is no URL";
}

/**
 * One request; redirects are not followed, because an answer of another host proves nothing of this one.
 * @throws what `fetch` throws (`httpProblem` has the words), or the signal's reason
 */
export async function exchange(
    address: HttpAddress,
    options: {
        readonly method?: string;
        readonly headers?: Readonly<Record<string, string>>;
        readonly body?: URLSearchParams;
        readonly signal: AbortSignal;
    },
): Promise<HttpAnswer> {
    const { headers = {}, ...rest } = options;
    const response = await fetch(address.url, {
        ...rest,
        headers: { ...address.headers, ...headers },
        redirect: "manual",
    });
    const location = response.headers.get("location");
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
        chunks.push(chunk);
        size += chunk.length;
        // Leaving the loop cancels the rest.
        if (size >= LARGEST) break;
    }
    return {
        status: response.status,
        text: Buffer.concat(chunks).subarray(0, LARGEST).toString(),
        location: location === null ? undefined : shownUrl(new URL(location, address.url)),
    };
}

/** Why there was no answer: `connect ECONNREFUSED 127.0.0.1:9090`. */
export function httpProblem(error: unknown): string {
    const { cause, message, name } = error as Error;
    if (name === "TimeoutError") {
        return "no answer in time";
    }
    // Of several failed addresses the error itself says nothing.
    const [first] = cause instanceof AggregateError ? (cause.errors as unknown[]) : [cause];
    return first instanceof Error ? first.message : message;
}

function shownUrl({ origin, pathname }: URL): string {
    return origin + (pathname === "/" ? "" : pathname);
}
