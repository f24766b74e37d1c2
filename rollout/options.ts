import { readFile } from "node:fs/promises";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { parse } from "yaml";
import { z } from "zod";
import { RefusedError, type Fault } from "../plan/faults";
import { resolveIstio } from "../plan/istio/config";
import { istioSection } from "../plan/istio/section";
import { REST, rollout, type Rollout } from "../plan/waves";

/** What the rollout program is asked to do from a shell. */
export interface Options {
    readonly kubeconfig: string | undefined;
    readonly context: string;
    /** uid of namespace kube-system; undefined: whatever cluster the context leads to. */
    readonly clusterUid: string | undefined;
    /** Version of the control plane; undefined: the one that it has. */
    readonly version: string | undefined;
    readonly proxy: string | undefined;
    /** Set where the mesh is Istio: the control planes' namespace, and those whose pods are looked at. */
    readonly istio:
        { readonly namespace: string; readonly namespaces: readonly string[] } | undefined;
    readonly rollout: Rollout;
    /** Names of the waves to run; empty: all. */
    readonly only: readonly string[];
    readonly json: boolean;
    readonly plan: boolean;
}

/** The one wave of --namespace and --workload. */
export const SELECTED = "selected";

export const HELP = `Restarts the stale part of the data plane, without an upgrade: wave by wave, at a pace, verified.

  npm run rollout -- --context NAME [options]

Where and what
  --stack-file FILE     take context, kubeconfig, clusterUid, linkerdVersion, istio and rollout (waves, pace, gates)
                        from it
  --context NAME        context of the kubeconfig; required here or in the stack file
  --kubeconfig FILE     default KUBECONFIG, else ~/.kube/config
  --cluster-uid UID     refuse any other cluster
  --version VERSION     that the control plane must have, such as edge-24.7.5; default: the one that it has
  --proxy TAG           that new pods must get; default: as the control plane says
  --istio               the mesh is Istio, not Linkerd: with --namespace, or with a stack file that has istio
  --wave NAME           run this wave only; may be repeated
  --namespace NAME      restart in this namespace only, as one wave; may be repeated
  --workload [KIND/]NAME  and only this workload; may be repeated

How (each beats the stack file)
  --pace N|unlimited    pods per minute
  --at-once N|unlimited workloads that roll at the same time
  --soak DURATION       how long new pods must stay ready: 30s
  --timeout DURATION    how long a workload may go without progress: 10m
  --limit DURATION      how long a wave may take altogether
  --jobs report|wait|skip
  --disruption-budgets respect|ignore

  --plan                show what would be restarted, and change nothing
  --json                events as lines of JSON on stdout; lines for people stay on stderr
  --help

Ends with 0 when every restartable pod runs the target and the gates have passed, with 1 otherwise, with 130 after Ctrl-C:
then nothing new is begun, and what rolls is named. A second Ctrl-C ends it at once.
`;

/** Undefined: help was asked for. @throws RefusedError that names each option at fault. */
export async function readOptions(args: readonly string[]): Promise<Options | undefined> {
    const given = parsed(args);
    if (given.help) {
        return undefined;
    }
    const file = given["stack-file"] === undefined ? {} : await stackConfig(given["stack-file"]);
    const parsedSection = z.record(z.string(), z.unknown()).safeParse(file["rollout"] ?? {});
    if (!parsedSection.success) {
        throw new RefusedError([
            {
                subject: "rollout",
                value: String(file["rollout"]),
                rule: "must be a map of settings, such as pace and waves",
                next: "npm run rollout -- --help",
            },
        ]);
    }
    const section = parsedSection.data;
    const overrides = Object.fromEntries(
        Object.entries({
            pace: numberOrText(given.pace),
            atOnce: numberOrText(given["at-once"]),
            soak: given.soak,
            timeout: given.timeout,
            limit: given.limit,
            jobs: given.jobs,
            disruptionBudgets: given["disruption-budgets"],
        }).filter(([, value]) => value !== undefined),
    );
    const select = {
        ...(given.namespace ? { namespaces: given.namespace } : {}),
        ...(given.workload ? { workloads: given.workload } : {}),
    };
    const narrowed = Object.keys(select).length > 0;
    const waves = narrowed
        ? [{ name: SELECTED, select: [select] }]
        : ((section["waves"] as object[] | undefined) ?? []);
    const result = rollout.safeParse({
        ...section,
        ...overrides,
        // A wave's own setting is beaten as well.
        waves: Array.isArray(waves) ? waves.map((wave) => ({ ...wave, ...overrides })) : waves,
    });
    const text = (key: string, option: string | undefined) =>
        option ?? (z.string().safeParse(file[key]).data || undefined);
    const context = text("context", given.context);
    if (!result.success || context === undefined) {
        throw new RefusedError([
            ...optionFaults(result.error?.issues ?? [], given),
            ...(context === undefined
                ? [
                      {
                          subject: "--context",
                          rule: "must name a context of the kubeconfig",
                          next: "kubectl config get-contexts -o name",
                      },
                  ]
                : []),
        ]);
    }
    const istio = istioOf(given, file["istio"], result.data.waves);
    const only = narrowed ? [SELECTED] : (given.wave ?? []);
    const names = result.data.waves.map((one) => one.name);
    const unknown = only.filter((name) => !names.includes(name));
    if (unknown.length > 0) {
        throw new RefusedError(
            unknown.map((value) => ({
                subject: "--wave",
                value,
                rule: `there is no such wave; there are: ${names.join(", ")}`,
                next: `choose one of them, or leave it out for all${names.length === 1 && names[0] === REST ? " (waves stand in a stack file: --stack-file FILE)" : ""}`,
            })),
        );
    }
    return {
        kubeconfig: text("kubeconfig", given.kubeconfig),
        context,
        clusterUid: text("clusterUid", given["cluster-uid"]),
        version: text("linkerdVersion", given.version),
        proxy: given.proxy,
        istio,
        rollout: result.data,
        only,
        json: given.json ?? false,
        plan: given.plan ?? false,
    };
}

/** The namespaces of --namespace, else of the stack file; undefined for Linkerd. */
function istioOf(
    given: ReturnType<typeof parsed>,
    section: unknown,
    waves: Rollout["waves"],
): Options["istio"] {
    if (!given.istio && section === undefined) {
        return undefined;
    }
    const read = istioSection.safeParse(section ?? { revisions: [{ version: "1.0.0" }] });
    const resolved = read.success ? resolveIstio(read.data, waves) : undefined;
    const namespaces = given.namespace ?? [...(resolved?.config.target.keys() ?? [])];
    if (!read.success || namespaces.length === 0) {
        throw new RefusedError([
            read.success
                ? {
                      subject: "--istio",
                      rule: "needs the namespaces whose workloads are to be restarted",
                      next: "--namespace NAME, or --stack-file FILE with istio.namespaces",
                  }
                : {
                      subject: `istio.${read.error.issues[0]?.path.join(".") ?? ""}`,
                      rule: read.error.issues[0]?.message ?? "",
                      next: "correct it in the stack file (docs/istio.md)",
                  },
        ]);
    }
    return { namespace: read.data.namespace, namespaces };
}

/** Options by the key of the stack file that they beat. */
const OPTIONS = {
    pace: "pace",
    atOnce: "at-once",
    soak: "soak",
    timeout: "timeout",
    limit: "limit",
    jobs: "jobs",
    disruptionBudgets: "disruption-budgets",
    namespaces: "namespace",
    workloads: "workload",
} as const;

/** Each by the option that gave the value; else by its key in the stack file. */
function optionFaults(
    issues: readonly z.core.$ZodIssue[],
    given: ReturnType<typeof parsed>,
): readonly Fault[] {
    const faults = issues.map(({ path, message }): Fault => {
        const key = path.findLast((one) => typeof one === "string" && one in OPTIONS);
        const option = key === undefined ? undefined : OPTIONS[key as keyof typeof OPTIONS];
        const index = path.at(-1);
        const values = option === undefined ? undefined : given[option];
        const value = Array.isArray(values) ? values[Number(index)] : values;
        return {
            ...(value === undefined
                ? { subject: ["rollout", ...path].join(".") }
                : { subject: `--${option}`, value }),
            rule: message,
            next: "npm run rollout -- --help",
        };
    });
    // Each wave gets the value of the option.
    return faults.filter(
        (one, index) => faults.findIndex((other) => isDeepStrictEqual(one, other)) === index,
    );
}

function parsed(args: readonly string[]) {
    const string = { type: "string" } as const;
    const list = { type: "string", multiple: true } as const;
    const boolean = { type: "boolean" } as const;
    try {
        return parseArgs({
            args: [...args],
            options: {
                "stack-file": string,
                context: string,
                kubeconfig: string,
                "cluster-uid": string,
                version: string,
                proxy: string,
                istio: boolean,
                wave: list,
                namespace: list,
                workload: list,
                pace: string,
                "at-once": string,
                soak: string,
                timeout: string,
                limit: string,
                jobs: string,
                "disruption-budgets": string,
                plan: boolean,
                json: boolean,
                help: boolean,
            },
        }).values;
    } catch (error) {
        throw new RefusedError([
            {
                subject: "options",
                rule: (error as Error).message,
                next: "npm run rollout -- --help",
            },
        ]);
    }
}

/** The stack file's own keys, without the project's name before them. */
async function stackConfig(path: string): Promise<Readonly<Record<string, unknown>>> {
    try {
        const file = z
            .object({ config: z.record(z.string(), z.unknown()).default({}) })
            .parse((parse(await readFile(path, "utf8")) as unknown) ?? {});
        const keys = Object.entries(file.config);
        return Object.fromEntries<unknown>(
            keys.map(([key, value]) => [key.split(":").at(-1) ?? key, value]),
        );
    } catch (error) {
        throw new RefusedError([
            {
                subject: "--stack-file",
                value: path,
                rule: `cannot be read: ${(error as Error).message.split("\n")[0]}`,
                next: "name a Pulumi.<stack>.yaml",
            },
        ]);
    }
}

function numberOrText(text: string | undefined): number | string | undefined {
    return text !== undefined && /^\d+$/.test(text) ? Number(text) : text;
}
