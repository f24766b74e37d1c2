import { spawn, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { RunRequest } from "@pulumi/pulumi/proto/language_pb";

/** How a program ended: `bail` when it has told the user already, else an error or nothing. */
export interface RunResult {
    readonly bail: boolean;
    readonly error: string;
}

/** cmd/run ends with it after an error that it has shown. */
const alreadyReported = 32;

/**
 * Runs a Node program as the official language host does (pulumi/pulumi v3.259,
 * sdk/nodejs/cmd/pulumi-language-nodejs/main.go). The program talks to the engine directly: the
 * official host's proxy and its `--sync` pipes serve synchronous invokes of SDKs before 3.
 */
export async function runProgram(
    request: RunRequest,
    engine: string,
    signal: AbortSignal,
): Promise<RunResult> {
    const options = readOptions(request);
    let script: string;
    try {
        const directory = request.getInfo()?.getProgramDirectory() ?? process.cwd();
        const resolver = createRequire(join(directory, "index.js"));
        script = resolver.resolve("@pulumi/pulumi/cmd/run");
    } catch {
        const error =
            "It looks like the Pulumi SDK has not been installed. Have you run pulumi install?";
        return { bail: false, error };
    }
    const child = spawn(
        "node",
        [...options.nodeArguments, script, ...runArguments(request, engine)],
        {
            env: { ...process.env, ...options.environment, ...configuration(request) },
            stdio: ["ignore", "pipe", "pipe"],
        },
    );
    return finish(child, signal);
}

function runArguments(request: RunRequest, engine: string): string[] {
    const info = request.getInfo();
    const flags: readonly (readonly [string, string])[] = [
        ["monitor", request.getMonitorAddress()],
        ["engine", engine],
        ["organization", request.getOrganization()],
        ["project", request.getProject()],
        ["root-directory", info?.getRootDirectory() ?? ""],
        ["stack", request.getStack()],
        ["pwd", info?.getProgramDirectory() ?? ""],
    ];
    return [
        ...flags.flatMap(([name, value]) => (value === "" ? [] : [`--${name}`, value])),
        ...(request.getDryrun() ? ["--dry-run"] : []),
        "--parallel",
        String(request.getParallel()),
        info?.getEntryPoint() ?? ".",
        ...request.getArgsList(),
    ];
}

/** The stack's config, in the form of the SDKs before 1.0, which the newer ones read as well. */
function configuration(request: RunRequest): NodeJS.ProcessEnv {
    const config: Record<string, string> = {};
    request.getConfigMap().forEach((value, key) => {
        const [namespace = "", ...rest] = key.split(":");
        config[`${namespace}:config:${rest.at(-1) ?? ""}`] = value;
    });
    return {
        PULUMI_CONFIG: JSON.stringify(config),
        PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
    };
}

function readOptions(request: RunRequest): {
    nodeArguments: string[];
    environment: NodeJS.ProcessEnv;
} {
    const options = request.getInfo()?.getOptions()?.toJavaScript() ?? {};
    const { typescript = true, tsconfig, nodeargs = "" } = options;
    if (typeof typescript !== "boolean") throw new Error("typescript option must be a boolean");
    if (typeof nodeargs !== "string") throw new Error("nodeargs option must be a string");
    if (tsconfig !== undefined && typeof tsconfig !== "string") {
        throw new Error("tsconfigpath option must be a string");
    }
    return {
        nodeArguments: splitWords(nodeargs),
        environment: {
            ...(typescript && { PULUMI_NODEJS_TYPESCRIPT: "true" }),
            ...(tsconfig !== undefined && { PULUMI_NODEJS_TSCONFIG_PATH: tsconfig }),
        },
    };
}

/** Splits at spaces outside quotes, as a shell does; nothing is expanded. */
export function splitWords(text: string): string[] {
    const words = text.match(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/g) ?? [];
    const part = /\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/g;
    return words.map((word) =>
        word.replace(
            part,
            (_, escaped?: string, double?: string, single?: string) =>
                escaped ?? double?.replace(/\\(["\\])/g, "$1") ?? single ?? "",
        ),
    );
}

async function finish(child: ChildProcess, signal: AbortSignal): Promise<RunResult> {
    child.stdout?.pipe(process.stdout, { end: false });
    child.stderr?.pipe(process.stderr, { end: false });
    let kill: NodeJS.Timeout | undefined;
    const interrupt = (): void => {
        child.kill("SIGINT");
        kill = setTimeout(() => child.kill("SIGKILL"), 5000);
    };
    if (signal.aborted) interrupt();
    signal.addEventListener("abort", interrupt);
    const result = await new Promise<RunResult>((resolve) => {
        child.on("error", ({ message }) =>
            resolve({
                bail: false,
                error: `Problem executing program (could not run language executor): ${message}`,
            }),
        );
        child.on("close", (code) => resolve(describe(code)));
    });
    signal.removeEventListener("abort", interrupt);
    clearTimeout(kill);
    return result;
}

function describe(code: number | null): RunResult {
    if (code === 0) return { bail: false, error: "" };
    if (code === alreadyReported) return { bail: true, error: "" };
    // Go's exit code of a killed program.
    return { bail: false, error: `Program exited with non-zero exit code: ${code ?? -1}` };
}
