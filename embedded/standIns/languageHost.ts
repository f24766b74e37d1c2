import { spawnSync } from "node:child_process";
import { status, type ServerWritableStream } from "@grpc/grpc-js";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { LanguageRuntimeService } from "@pulumi/pulumi/proto/language_grpc_pb";
import * as rpc from "@pulumi/pulumi/proto/language_pb";
import { PackageDependency, PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { runProgram } from "./nodeProgram";
import { EngineLog, engineAddress, killOwnProcessGroup, servePlugin, unary } from "./plugin";
import { directDependencies, requiredPackages } from "./requiredPackages";

/**
 * Stand-in for `pulumi-language-nodejs` where that cannot be downloaded: it runs programs. What
 * makes projects, packages and policy packs answers "unimplemented". Started by the engine.
 */
let engine = engineAddress(process.argv);
const cancelled = new AbortController();
let running = 0;
let announced = false;

const handlers = {
    handshake: unary<rpc.LanguageHandshakeRequest, rpc.LanguageHandshakeResponse>((request) => {
        engine = request.getEngineAddress();
        return new rpc.LanguageHandshakeResponse();
    }),

    getPluginInfo: unary<Empty, PluginInfo>(() => new PluginInfo().setVersion("3.259.0")),

    getRequiredPackages: unary<rpc.GetRequiredPackagesRequest, rpc.GetRequiredPackagesResponse>(
        (request) => {
            const program = request.getInfo()?.getProgramDirectory() ?? process.cwd();
            const packages = requiredPackages(program).map((required) =>
                new PackageDependency()
                    .setName(required.name)
                    .setKind("resource")
                    .setVersion(required.version)
                    .setServer(required.server),
            );
            return new rpc.GetRequiredPackagesResponse().setPackagesList(packages);
        },
    ),

    run: unary<rpc.RunRequest, rpc.RunResponse>(async (request, call) => {
        if (engine === undefined) throw new Error("must call Handshake before Run");
        await announce(engine);
        const stop = new AbortController();
        call.on("cancelled", () => stop.abort());
        running++;
        try {
            const signal = AbortSignal.any([cancelled.signal, stop.signal]);
            const { bail, error } = await runProgram(request, engine, signal);
            return new rpc.RunResponse().setBail(bail).setError(error);
        } finally {
            running--;
        }
    }),

    about: unary<rpc.AboutRequest, rpc.AboutResponse>(() => {
        const script = "console.log(process.execPath, process.version)";
        const { stdout } = spawnSync("node", ["-e", script], { encoding: "utf8" });
        const [executable = "", version = ""] = stdout.trim().split(" ");
        const response = new rpc.AboutResponse().setExecutable(executable).setVersion(version);
        response.getMetadataMap().set("languageHost", "stand-in");
        return response;
    }),

    getProgramDependencies: unary<
        rpc.GetProgramDependenciesRequest,
        rpc.GetProgramDependenciesResponse
    >((request) => {
        const program = request.getInfo()?.getProgramDirectory() ?? process.cwd();
        const dependencies = directDependencies(program).map(({ name, version }) =>
            new rpc.DependencyInfo().setName(name).setVersion(version),
        );
        return new rpc.GetProgramDependenciesResponse().setDependenciesList(dependencies);
    }),

    runtimeOptionsPrompts: unary<rpc.RuntimeOptionsRequest, rpc.RuntimeOptionsResponse>(
        () => new rpc.RuntimeOptionsResponse(),
    ),

    installDependencies: (
        call: ServerWritableStream<rpc.InstallDependenciesRequest, rpc.InstallDependenciesResponse>,
    ): void => {
        call.emit("error", {
            code: status.FAILED_PRECONDITION,
            details: "stand-in for the Node language host: run `npm ci` to install dependencies",
        });
    },

    cancel: unary<Empty, Empty>(() => {
        cancelled.abort();
        return new Empty();
    }),
};

async function announce(address: string): Promise<void> {
    if (announced) return;
    announced = true;
    await new EngineLog(address).info(
        "stand-in for the Node language host in use (the official one could not be downloaded)",
    );
}

void servePlugin(
    (server) => server.addService(LanguageRuntimeService, handlers),
    () => {
        if (running > 0) killOwnProcessGroup();
    },
);
