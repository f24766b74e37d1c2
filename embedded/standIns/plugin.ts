import * as grpc from "@grpc/grpc-js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";

/** The engine's own limit for messages; gRPC's default of 4 MiB is less than a large CRD. */
const channelOptions: grpc.ChannelOptions = {
    "grpc.max_receive_message_length": 400 * 1024 * 1024,
    "grpc.max_send_message_length": 400 * 1024 * 1024,
};

/** Node sends at most 64 KiB of headers, and gRPC puts the (percent-encoded) message in one. */
const longestError = 40_000;

/** Writes to the log of the engine that started this plugin. */
export class EngineLog {
    private readonly client: EngineClient | undefined;
    private last: Promise<void> = Promise.resolve();

    /** Without an address every line is dropped, as with `pulumi plugin run`. */
    constructor(address: string | undefined) {
        this.client =
            address === undefined
                ? undefined
                : new EngineClient(address, grpc.credentials.createInsecure(), channelOptions);
    }

    /** Lines arrive in the order of the calls. Never throws: a lost line must not fail an update. */
    info(message: string, options: { urn?: string; ephemeral?: boolean } = {}): Promise<void> {
        const request = new LogRequest()
            .setSeverity(LogSeverity.INFO)
            .setMessage(message)
            .setUrn(options.urn ?? "")
            .setEphemeral(options.ephemeral ?? false);
        this.last = this.last.then(() => this.send(request));
        return this.last;
    }

    private send(request: LogRequest): Promise<void> {
        const { client } = this;
        return client === undefined
            ? Promise.resolve()
            : new Promise((resolve) => client.log(request, () => resolve()));
    }
}

/** Turns a function into a handler; what it throws becomes the status that Go plugins answer. */
export function unary<Request, Response>(
    handle: (
        request: Request,
        call: grpc.ServerUnaryCall<Request, Response>,
    ) => Response | Promise<Response>,
): grpc.handleUnaryCall<Request, Response> {
    const run = async (call: grpc.ServerUnaryCall<Request, Response>): Promise<Response> =>
        handle(call.request, call);
    return (call, callback) => {
        run(call).then(
            (response) => callback(null, response),
            (error: unknown) => {
                const details = error instanceof Error ? error.message : String(error);
                callback({ code: grpc.status.UNKNOWN, details: shorten(details) });
            },
        );
    };
}

/** Leaves out the middle of a message that is too long for a gRPC status. */
export function shorten(message: string): string {
    const bytes = Buffer.from(message);
    // The way through bytes makes half characters whole ones, which encodeURI needs.
    const cost = (part: Buffer): number => encodeURI(part.toString()).length;
    if (cost(bytes) <= longestError) return bytes.toString();
    const fit = (part: (size: number) => Buffer): Buffer => {
        let size = longestError / 2;
        while (cost(part(size)) > longestError / 2) size = Math.floor(size * 0.8);
        return part(size);
    };
    const head = fit((size) => bytes.subarray(0, size));
    const tail = fit((size) => bytes.subarray(-size));
    const note = "\n[... the stand-in leaves out the middle of a long output ...]\n";
    return head.toString() + note + tail.toString();
}

/**
 * Serves on a port of 127.0.0.1 that the system picks and prints it, which is how the engine finds
 * a plugin. Ends together with the engine: on its signal, and when it is gone without one.
 *
 * @param stop kills what the plugin started.
 */
export async function servePlugin(
    addServices: (server: grpc.Server) => void,
    stop: () => void,
): Promise<void> {
    endWithEngine(stop);
    const server = new grpc.Server(channelOptions);
    addServices(server);
    const port = await new Promise<number>((resolve, reject) => {
        server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
            error === null ? resolve(bound) : reject(error),
        );
    });
    process.stdout.write(`${port}\n`);
}

function endWithEngine(stop: () => void): void {
    const end = (): void => {
        stop();
        process.exit(0);
    };
    // The engine closes a plugin with SIGINT to its process group.
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
    // A killed engine says nothing, but its plugins get another parent.
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && end(), 250).unref();
}

/**
 * Kills this plugin together with all that it started. The engine gives each plugin a process group
 * of its own; without one (started by hand) nothing happens, as other programs would die as well.
 */
export function killOwnProcessGroup(): void {
    try {
        process.kill(-process.pid, "SIGKILL");
    } catch {
        // Not the leader of a group.
    }
}

/** The engine's address: the argument after the flags. */
export function engineAddress(argv: readonly string[]): string | undefined {
    return argv.slice(2).findLast((argument) => !argument.startsWith("-"));
}
