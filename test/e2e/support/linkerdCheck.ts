import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { CheckResult } from "../../../plan/review";
import { LINKERD_CHECKS } from "../../../plan/checks/table";
import type { EmbeddedCluster } from "../../../embedded/cluster";

/** Path of the linkerd CLI; undefined where PATH has none. */
export async function linkerdOnPath(): Promise<string | undefined> {
    for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
        const path = join(directory, "linkerd");
        const isThere = await access(path, constants.X_OK).then(
            () => true,
            () => false,
        );
        if (isThere) {
            return path;
        }
    }
    return undefined;
}

interface Output {
    readonly categories: readonly {
        readonly categoryName: string;
        readonly checks: readonly {
            readonly result: "success" | "warning" | "error";
            readonly hint?: string;
        }[];
    }[];
}

/** What `linkerd check` does not pass, of the checks that both have: `linkerd-existence l5d-api-control-ready fatal`. */
export async function failedByLinkerd(
    linkerd: string,
    { kubeconfig, context }: EmbeddedCluster,
): Promise<string[]> {
    const args = ["check", "--proxy", "-o", "json", "--wait", "5s"];
    const where = ["--kubeconfig", kubeconfig, "--context", context];
    const text = await new Promise<string>((resolve) => {
        // It ends with 1 where a check fails; what it found stands on stdout all the same.
        execFile(linkerd, [...args, ...where], (_, stdout) => resolve(stdout));
    });
    const { categories } = JSON.parse(text) as Output;
    const failed = categories.flatMap(({ categoryName, checks }) =>
        checks
            .filter(({ result }) => result !== "success")
            .map(({ hint = "", result }) => {
                const severity = result === "error" ? "fatal" : "warning";
                return `${categoryName} ${hint.split("#")[1]} ${severity}`;
            }),
    );
    const known = new Set(LINKERD_CHECKS.map(keyOf));
    return [...new Set(failed)].filter((one) => known.has(one) && !ofVersions(one)).sort();
}

/** The same of our own results. */
export function failedByUs(results: readonly CheckResult[]): string[] {
    return results
        .filter(({ result }) => result === "failed")
        .map(keyOf)
        .filter((one) => !ofVersions(one))
        .sort();
}

/** The CLI compares with itself and with the newest release, not with a stack file. */
function ofVersions(key: string): boolean {
    return /-version /.test(key);
}

function keyOf({
    category,
    id,
    severity,
}: Pick<CheckResult, "category" | "id" | "severity">): string {
    return `${category} ${id} ${severity}`;
}
