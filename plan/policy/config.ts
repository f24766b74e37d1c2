import { z } from "zod";
import type { Fault } from "../faults";
import { NOTICE_IDS } from "./notices";
import { OVERRIDABLE } from "./rules";

const ids = z.array(z.string().min(1)).default([]);

/** The section `policy` of the stack file. */
export const policySection = z.strictObject({
    /** Ids of rules that may be broken (plan/policy/rules.ts). */
    override: ids,
    /** Ids of notices whose consequences are accepted (plan/policy/notices.ts). */
    acknowledge: ids,
});

export interface PolicyConfig {
    readonly override: ReadonlySet<string>;
    readonly acknowledge: ReadonlySet<string>;
}

export function policyOf({ override, acknowledge }: z.infer<typeof policySection>): PolicyConfig {
    return { override: new Set(override), acknowledge: new Set(acknowledge) };
}

/** A fault for each id that nothing has: it would be without effect, and nobody would notice. */
export function policyFaults({
    override,
    acknowledge,
}: z.infer<typeof policySection>): readonly Fault[] {
    return [
        ...unknownIds("override", "rule that may be overridden", override, OVERRIDABLE),
        ...unknownIds("acknowledge", "notice", acknowledge, NOTICE_IDS),
    ];
}

function unknownIds(
    key: string,
    what: string,
    given: readonly string[],
    known: readonly string[],
): Fault[] {
    return given.flatMap((id, index) =>
        known.includes(id)
            ? []
            : [
                  {
                      subject: `policy.${key}.${index}`,
                      value: id,
                      rule: `is the id of no ${what}`,
                      next: `remove it, or set one of: ${known.join(", ")}`,
                  },
              ],
    );
}
