import type { LiveInstallation } from "../cluster/adoption";
import type { LinkerdStackConfig } from "../config";
import type { Fault } from "./faults";
import { at } from "./values";
import { WEBHOOKS } from "./webhooks";

/** Chart values by which somebody else brings certificates or their trust: trust-manager, cert-manager's CA injector. */
const EXTERNAL: Readonly<Record<"controlPlane" | "viz", readonly string[]>> = {
    controlPlane: ["identity.externalCA", ...injections("linkerd")],
    viz: injections("linkerd-viz"),
};

function injections(namespace: string): string[] {
    return WEBHOOKS.filter((one) => one.namespace === namespace).flatMap(({ value }) => [
        `${value}.injectCaFrom`,
        `${value}.injectCaFromSecret`,
    ]);
}

/**
 * Faults of an installation that is to be taken over and has its certificates from somebody else: declared by the stack as
 * well, they would have two owners who undo each other's work. With cert-manager as the stack's own source the injections are
 * what it declares.
 */
export function externalCertificateFaults(
    { adopt, viz, identity }: Pick<LinkerdStackConfig, "adopt" | "viz" | "identity">,
    { foreign, values, release }: LiveInstallation,
): Fault[] {
    const live = {
        ...(adopt && foreign ? { controlPlane: values } : {}),
        ...(adopt && viz.enabled && release ? { viz: release.config } : {}),
    };
    return Object.entries(live).flatMap(([section, of]) =>
        EXTERNAL[section as keyof typeof live]
            .filter((path) => identity.source !== "cert-manager" || !path.includes(".injectCaFrom"))
            .map((path) => ({ path, value: at(of, path) }))
            .filter(({ value }) => value !== undefined && value !== false && value !== "")
            .map(({ path, value }) => ({
                subject: `${section}.values.${path} of the live installation`,
                value: String(value),
                rule: "says that something else (cert-manager, trust-manager) brings these certificates; this stack would declare them, too, and the two would undo each other's work",
                next: `turn it off with the installer of before (--set ${path}=${value === true ? "false" : ""}, with the certificates of now as values), then adopt`,
            })),
    );
}
