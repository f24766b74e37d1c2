import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as rpc from "@pulumi/pulumi/proto/provider_pb";
import { commandType, commandVersion, inputNames, type Failure } from "./commandInputs";
import * as steps from "./commandSteps";
import { EngineLog, engineAddress, killOwnProcessGroup, servePlugin, unary } from "./plugin";
import { fromStruct, toStruct } from "./properties";

/**
 * Stand-in for `pulumi-resource-command` v1.2.1 where that cannot be downloaded: the resource
 * `command:local:Command` with the inputs that this project uses. Started by the engine.
 */
const log = new EngineLog(engineAddress(process.argv));
const cancelled = new AbortController();
let running = 0;

const handlers = {
    getPluginInfo: unary<Empty, PluginInfo>(() => new PluginInfo().setVersion(commandVersion)),

    getSchema: unary<rpc.GetSchemaRequest, rpc.GetSchemaResponse>(() =>
        new rpc.GetSchemaResponse().setSchema(JSON.stringify(schema())),
    ),

    checkConfig: unary<rpc.CheckRequest, rpc.CheckResponse>((request) =>
        new rpc.CheckResponse().setInputs(request.getNews()),
    ),

    diffConfig: unary<rpc.DiffRequest, rpc.DiffResponse>(() =>
        new rpc.DiffResponse().setChanges(rpc.DiffResponse.DiffChanges.DIFF_NONE),
    ),

    configure: unary<rpc.ConfigureRequest, rpc.ConfigureResponse>(async () => {
        await log.info(
            "stand-in for the command provider in use (the official one could not be downloaded)",
        );
        return new rpc.ConfigureResponse()
            .setAcceptsecrets(true)
            .setSupportspreview(true)
            .setAcceptresources(true)
            .setAcceptoutputs(true);
    }),

    invoke: unary<rpc.InvokeRequest, rpc.InvokeResponse>((request) => {
        throw unsupported(`function '${request.getTok()}'`);
    }),

    check: unary<rpc.CheckRequest, rpc.CheckResponse>((request) => {
        resourceName(request.getUrn());
        const { inputs, failures } = steps.check(fromStruct(request.getNews()));
        return new rpc.CheckResponse()
            .setInputs(toStruct(inputs))
            .setFailuresList(failures.map(checkFailure));
    }),

    diff: unary<rpc.DiffRequest, rpc.DiffResponse>((request) =>
        diffResponse(
            steps.diff(
                {
                    inputs: fromStruct(request.getOldInputs()),
                    state: fromStruct(request.getOlds()),
                },
                fromStruct(request.getNews()),
                request.getIgnorechangesList(),
            ),
        ),
    ),

    create: unary<rpc.CreateRequest, rpc.CreateResponse>(async (request) => {
        const { id, state } = await step(request, (context) =>
            steps.create(
                resourceName(request.getUrn()),
                fromStruct(request.getProperties()),
                request.getPreview() ? "preview" : context,
            ),
        );
        return new rpc.CreateResponse().setId(id).setProperties(toStruct(state));
    }),

    // Like the official one: nothing to look at, the state is the truth.
    read: unary<rpc.ReadRequest, rpc.ReadResponse>((request) =>
        new rpc.ReadResponse()
            .setId(request.getId())
            .setProperties(request.getProperties())
            .setInputs(request.getInputs()),
    ),

    update: unary<rpc.UpdateRequest, rpc.UpdateResponse>(async (request) => {
        const old = fromStruct(request.getOlds());
        const kept = request.getIgnorechangesList().flatMap((name) => {
            const value = old[name];
            return value === undefined ? [] : [[name, value] as const];
        });
        const inputs = { ...fromStruct(request.getNews()), ...Object.fromEntries(kept) };
        const state = await step(request, (context) =>
            steps.update(old, inputs, request.getPreview() ? "preview" : context),
        );
        return new rpc.UpdateResponse().setProperties(toStruct(state));
    }),

    delete: unary<rpc.DeleteRequest, Empty>(async (request) => {
        await step(request, (context) =>
            steps.remove(fromStruct(request.getProperties()), context),
        );
        return new Empty();
    }),

    cancel: unary<Empty, Empty>(() => {
        cancelled.abort();
        return new Empty();
    }),
};

/** Gives a step its log and its end, and waits until its last line has arrived. */
async function step<Result>(
    request: { getUrn(): string; getTimeout(): number },
    act: (context: steps.StepContext) => Promise<Result>,
): Promise<Result> {
    const urn = request.getUrn();
    const seconds = request.getTimeout();
    const limit = seconds > 0 ? [AbortSignal.timeout(seconds * 1000)] : [];
    let written = Promise.resolve();
    running++;
    try {
        return await act({
            signal: AbortSignal.any([cancelled.signal, ...limit]),
            log: (line) => {
                written = log.info(line, { urn, ephemeral: true });
            },
        });
    } finally {
        running--;
        await written;
    }
}

/** The last part of a URN of the one supported type. */
function resourceName(urn: string): string {
    const [, , type = "", ...name] = urn.split("::");
    if (type.split("$").at(-1) !== commandType) throw unsupported(`resource type '${type}'`);
    return name.join("::");
}

function unsupported(what: string): Error {
    return new Error(`stand-in for the command provider: ${what} is not supported`);
}

function checkFailure({ property, reason }: Failure): rpc.CheckFailure {
    return new rpc.CheckFailure().setProperty(property).setReason(reason);
}

function diffResponse(changes: readonly steps.PropertyChange[]): rpc.DiffResponse {
    const names = (some: readonly steps.PropertyChange[]): string[] => [
        ...new Set(some.map(({ path }) => /^[^.[]+/.exec(path)?.[0] ?? path)),
    ];
    const { DIFF_SOME, DIFF_NONE } = rpc.DiffResponse.DiffChanges;
    const { Kind } = rpc.PropertyDiff;
    const plain = { add: Kind.ADD, delete: Kind.DELETE, update: Kind.UPDATE };
    const replacing = {
        add: Kind.ADD_REPLACE,
        delete: Kind.DELETE_REPLACE,
        update: Kind.UPDATE_REPLACE,
    };
    const response = new rpc.DiffResponse()
        .setChanges(changes.length > 0 ? DIFF_SOME : DIFF_NONE)
        .setDiffsList(names(changes))
        .setReplacesList(names(changes.filter(({ replaces }) => replaces)))
        .setHasdetaileddiff(true);
    for (const { path, kind, replaces } of changes) {
        const detail = new rpc.PropertyDiff().setKind((replaces ? replacing : plain)[kind]);
        response.getDetaileddiffMap().set(path, detail);
    }
    return response;
}

function schema(): object {
    const any = { $ref: "pulumi.json#/Any" };
    const inputs = Object.fromEntries(inputNames.map((name) => [name, any]));
    const outputs = { stdout: { type: "string" }, stderr: { type: "string" } };
    return {
        name: "command",
        version: commandVersion,
        description: "Stand-in: only what mesh-upgrade uses.",
        resources: {
            [commandType]: {
                inputProperties: inputs,
                properties: { ...inputs, ...outputs },
                required: Object.keys(outputs),
            },
        },
    };
}

void servePlugin(
    (server) => server.addService(ResourceProviderService, handlers),
    () => {
        cancelled.abort();
        if (running > 0) killOwnProcessGroup();
    },
);
