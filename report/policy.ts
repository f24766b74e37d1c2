import { EVERY, shortList } from "../plan/policy/notices";
import type { NoticeResult, PathVerdict } from "../plan/review";

/** What preview says of the way; nothing where the version stays. */
export function pathLines({ verdict, steps, rules }: PathVerdict): readonly string[] {
    const broken = rules.filter((one) => one.broken).map(({ id }) => id);
    return steps.length < 2
        ? []
        : [
              `path: ${steps.join(" -> ")}: ${verdict}${broken.length > 0 ? ` (${broken.join(", ")})` : ""}`,
          ];
}

/** A line for each notice that applies, or may; those that do not are counted. */
export function noticeLines(notices: readonly NoticeResult[]): readonly string[] {
    if (notices.length === 0) {
        return [];
    }
    const told = notices.filter(({ applies }) => applies !== "no");
    return [
        `notices: ${notices.length} of the releases crossed; ${notices.length - told.length} do not apply here`,
        ...told.flatMap(({ id, since, title, action, source, applies, evidence, ...state }) => {
            const whether = applies === "yes" ? "" : " [unknown whether it applies]";
            const accepted = state.blocking && state.acknowledged ? " [acknowledged]" : "";
            return [
                `  ${id} (${since === EVERY ? EVERY : `since ${since}`}): ${title}${whether}${accepted}`,
                ...(evidence.length > 0 ? [`    found: ${shortList(evidence)}`] : []),
                `    do: ${action} (${source})`,
            ];
        }),
    ];
}

/** How a CLI of the right version is had. */
const INSTALL = {
    linkerd: (version: string) =>
        `curl --proto '=https' --tlsv1.2 -sSfL https://run.linkerd.io/install-edge | LINKERD2_VERSION=${version} sh`,
    istioctl: (version: string) =>
        `curl -L https://istio.io/downloadIstio | ISTIO_VERSION=${version} sh -`,
} as const;

/** No CLI is needed; one of another version misleads. */
export function cliLines(
    cli: keyof typeof INSTALL,
    found: string | undefined,
    target: string,
): readonly string[] {
    return found === undefined || found === target
        ? []
        : [
              `warning: ${cli} on PATH is ${found}, and the target ${target}: its own checks would compare with ${found}; to install it: ${INSTALL[cli](target)}`,
          ];
}
