import { chartTrustRootHash } from "./certificates";
import { imageTag } from "./images";
import { at } from "./values";

/** Image tag of the proxy that the control plane with these values gives new pods. */
export function proxyTagOf(values: unknown, version: string): string {
    const tag = at(values, "proxy.image.version");
    // A digest may follow the tag; pods are compared by tag.
    return imageTag(`:${typeof tag === "string" && tag !== "" ? tag : version}`) ?? version;
}

/** What a new pod gets, as far as workloads have to restart for it. */
interface Given {
    readonly version: string;
    readonly proxy: string;
    readonly trustRoot?: string | undefined;
    readonly issuedAt?: string | undefined;
}

/** Whether somebody else's control plane gives new pods just what `target` is: to take it over asks for no restart. */
export function takesOverAsItRuns(
    target: Given,
    live: {
        readonly foreign: boolean;
        readonly version: string | undefined;
        /** Of linkerd-config. */
        readonly values: unknown;
        /** Trust anchors as PEM. */
        readonly trustRoots: string | undefined;
    },
): boolean {
    const { foreign, version, values, trustRoots } = live;
    return (
        foreign &&
        version === target.version &&
        proxyTagOf(values, target.version) === target.proxy &&
        trustRoots !== undefined &&
        chartTrustRootHash(trustRoots) === target.trustRoot &&
        target.issuedAt === undefined
    );
}
