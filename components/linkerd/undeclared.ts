import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { KubeApi } from "../../cluster/api";
import { reasonOf, type Connection } from "../../cluster/connection";
import { listViz, nameOfObject } from "../../cluster/meshObjects";
import { findTakenOver } from "../../cluster/takenOver";
import { findUndeclared } from "../../cluster/undeclared";
import { markedLines, takenOverLines, undeclaredLines, vizLines } from "../../report/takenOver";
import type { PruneInput } from "../../rollout/input";
import { plain, type DeclaredObject } from "../declared";
import { programCommand } from "../programCommand";

/** Declared objects, and what has declared all of CRDs and control plane when its URN is known. */
export interface Rendered {
    readonly declared: readonly DeclaredObject[];
    readonly by: readonly pulumi.Resource[];
}

/**
 * Tells in preview what the engine's own list of changes does not: which objects are somebody else's so far, and which
 * nobody declares.
 * @param args.markViz whether viz is taken over object by object
 * @param args.viz what Helm makes of viz, where that is compared with what runs
 */
export function tellTakenOver(
    connection: Connection,
    rendered: Rendered,
    args: {
        readonly adopt: boolean;
        readonly prune: boolean;
        readonly markViz: boolean;
        readonly viz?: () => Promise<readonly DeclaredObject[]>;
    },
): pulumi.Output<string> {
    return whenRendered(rendered, async (objects) => {
        if (!pulumi.runtime.isDryRun()) {
            return "";
        }
        const api = new KubeApi(connection);
        const { viz } = args;
        const names = new Set(objects.map(nameOfObject));
        const lines = [
            ...(args.adopt
                ? await orReason("adopt", async () =>
                      takenOverLines(await findTakenOver(connection, objects)),
                  )
                : []),
            ...(args.markViz
                ? await orReason("adopt", async () => markedLines(await listViz(api)))
                : []),
            ...(viz ? await orReason("adopt: viz", () => compared(connection, api, viz)) : []),
            ...(await orReason("prune", async () =>
                undeclaredLines((await findUndeclared(api, names)).map(nameOfObject), args.prune),
            )),
        ];
        api.close();
        for (const line of lines) {
            await pulumi.log.info(line);
        }
        return lines.join("\n");
    });
}

/** Linkerd's own kinds: no setting shows in them. */
const POLICY = /(^|\.)linkerd\.io\//;

async function compared(
    connection: Connection,
    api: KubeApi,
    viz: () => Promise<readonly DeclaredObject[]>,
): Promise<string[]> {
    const objects = (await viz()).filter(({ apiVersion }) => !POLICY.test(apiVersion));
    const live = new Set((await listViz(api)).map(nameOfObject));
    const found = await findTakenOver(connection, objects);
    return vizLines(
        // Helm takes over by adding and replacing: fields that the chart lacks stay.
        found.map((one) => ({ ...one, dropped: [] })),
        objects.map(nameOfObject).filter((name) => !live.has(name)),
    );
}

/** Preview goes on without what it may not read. */
async function orReason(what: string, lines: () => Promise<string[]>): Promise<string[]> {
    try {
        return await lines();
    } catch (error) {
        return [`${what}: unknown: ${reasonOf(error)}`];
    }
}

/** Deletes what the stack does not declare, when everything that replaces it is ready. */
export function pruneUndeclared(
    cluster: PruneInput["cluster"],
    rendered: Rendered,
    version: string,
    opts: pulumi.CustomResourceOptions,
): pulumi.Resource {
    const stdin = whenRendered(rendered, (objects) =>
        Promise.resolve(
            JSON.stringify({
                cluster,
                declared: objects.map(nameOfObject).sort(),
            } satisfies PruneInput),
        ),
    );
    return new command.local.Command(
        "linkerd-prune",
        {
            ...programCommand,
            create: "rollout/linkerd/prune.ts",
            update: "rollout/linkerd/prune.ts",
            stdin,
            triggers: [version],
        },
        opts,
    );
}

/** Hands the objects on, keys of Secrets included: the text that comes of them must hold none. */
function whenRendered(
    { declared, by }: Rendered,
    use: (objects: readonly DeclaredObject[]) => Promise<string>,
): pulumi.Output<string> {
    return pulumi.all(by.map(({ urn }) => urn)).apply(async () => {
        const all = await Promise.all(declared.map(plain));
        // viz may have been registered by now, or not.
        return use(all.filter(({ metadata }) => !inViz(metadata)));
    });
}

function inViz({ name, namespace }: DeclaredObject["metadata"]): boolean {
    return namespace === "linkerd-viz" || name === "linkerd-viz";
}
