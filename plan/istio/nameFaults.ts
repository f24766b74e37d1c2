import type { Fault } from "../faults";
import { DEFAULT } from "./section";
import { isFrom, type IstioVersion } from "./versions";

/** RFC 1123 labels; `prefix` stands before the name in the name of a Service, which is a label as well. */
export function nameFaults(subject: string, name: string, prefix: string): Fault[] {
    const most = 63 - prefix.length;
    if (/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name) && name.length <= most) {
        return [];
    }
    const service = prefix === "" ? "" : ` (Service ${prefix}NAME)`;
    return [
        {
            subject,
            value: name,
            rule: `must be an RFC 1123 label: lower-case letters, digits and dashes, at most ${most} characters${service}`,
            next: "choose a shorter name in lower case",
        },
    ];
}

export function noDefault(subject: string): Fault {
    return {
        subject,
        value: DEFAULT,
        rule: "nobody serves istio-injection=enabled: there is neither istio.defaultRevision nor a foreign revision default",
        next: "set istio.defaultRevision, or name a tag or revision here",
    };
}

/** Tags came with 1.10. Source: istio.io, announcing 1.10. */
export function tagSupportFaults(
    subject: string,
    revision: string,
    version: IstioVersion | undefined,
): Fault[] {
    return version && !isFrom(version, "1.10")
        ? [
              {
                  subject,
                  value: revision,
                  rule: `is Istio ${version.text}; revision tags exist from 1.10 on`,
                  next: `name the revision ${revision} itself in istio.namespaces, without a tag`,
              },
          ]
        : [];
}
