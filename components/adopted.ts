import { ADOPTED_MANAGER } from "../cluster/adopt";
import { TAKE_OVER } from "./crds";

/**
 * Annotations of rendered objects, which somebody else may have made: by one field manager for ever, so that what the next
 * manifests drop goes, as if the stack had set it.
 */
export function renderedBy(adopt: boolean): Record<string, string> {
    return { "pulumi.com/patchFieldManager": ADOPTED_MANAGER, ...(adopt ? TAKE_OVER : {}) };
}
