import { groupBy } from "../plan/dataPlane";
import type { Asked } from "../plan/permissions";
import type { Permission, Permissions } from "../plan/review";
import { describeTrouble, type KubeApi } from "./api";

const REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/**
 * Which of these permissions the user lacks, by the API server's own answer. One request where the user may do everything;
 * else one for each verb and kind, and only where that is refused in the whole cluster one for each namespace.
 */
export async function reviewAccess(
    api: Pick<KubeApi, "send">,
    asked: readonly Asked[],
): Promise<Permissions> {
    const none = { asked: asked.length, missing: [], maybe: [] };
    const everything = { verb: "*", resource: "*.*", namespace: null };
    try {
        if (asked.length === 0 || (await isAllowed(api, everything))) {
            return none;
        }
        const kinds = groupBy(asked, ({ verb, resource }) => `${verb} ${resource}`);
        const denied = await Promise.all([...kinds.values()].map((some) => deniedOf(api, some)));
        const lacking = new Set(denied.flat());
        const lacks = (needed: Asked["needed"]) =>
            asked
                .filter((one) => lacking.has(one) && one.needed === needed)
                .map(({ verb, resource, namespace }) => ({ verb, resource, namespace }));
        return { ...none, missing: lacks("always"), maybe: lacks("maybe") };
    } catch (error) {
        return { ...none, unknown: describeTrouble(error) };
    }
}

/** Of permissions for one verb and kind, in several places. */
async function deniedOf(api: Pick<KubeApi, "send">, some: readonly Asked[]): Promise<Asked[]> {
    const [first] = some;
    if (!first || (await isAllowed(api, { ...first, namespace: null }))) {
        return [];
    }
    const answers = await Promise.all(
        some.map(async (one) => one.namespace !== null && (await isAllowed(api, one))),
    );
    return some.filter((_, index) => !answers[index]);
}

async function isAllowed(
    api: Pick<KubeApi, "send">,
    { verb, resource: full, namespace }: Permission,
): Promise<boolean> {
    const { group, resource, subresource } = partsOf(full);
    const resourceAttributes = {
        ...{ verb, group, resource },
        ...(subresource === undefined ? {} : { subresource }),
        ...(namespace === null ? {} : { namespace }),
    };
    const answer = await api.send("POST", REVIEWS, {
        body: {
            apiVersion: "authorization.k8s.io/v1",
            kind: "SelfSubjectAccessReview",
            spec: { resourceAttributes },
        },
    });
    return (answer["status"] as { allowed?: boolean } | undefined)?.allowed === true;
}

/** `deployments.apps` and `pods/eviction` in the words of an access review. */
function partsOf(full: string) {
    const [path = "", ...group] = full.split(".");
    const [resource = "", subresource] = path.split("/");
    return { group: group.join("."), resource, subresource };
}
