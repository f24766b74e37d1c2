import type { Fault } from "../faults";
import { isFault } from "../versions";
import type { Choice } from "./injection";
import { nameFaults, noDefault, tagSupportFaults } from "./nameFaults";
import { DEFAULT, type IstioSection } from "./section";
import { isFrom, parseIstioVersion, revisionName, type IstioVersion } from "./versions";

/** A control plane of this stack. */
export interface IstioRevision extends Omit<IstioSection["revisions"][number], "version" | "name"> {
    readonly version: IstioVersion;
    readonly name: string;
}

/** A control plane that somebody else made. */
export interface ForeignRevision {
    /** `default`: the install without a revision name. */
    readonly revision: string;
    /** Undefined: anything may be found. */
    readonly version: IstioVersion | undefined;
    readonly remove: boolean;
    /** Path of the rendered YAML with which it was installed. */
    readonly manifests?: string | undefined;
    readonly options?: IstioRevision["options"] | undefined;
    readonly archive?: IstioRevision["archive"];
}

/** Revisions, tags and what they stand for; the faults of their names are added as they are read. */
export class Names {
    readonly revisions: readonly IstioRevision[];
    readonly foreign: readonly ForeignRevision[];
    readonly tags = new Map<string, string>();

    constructor(
        private readonly section: IstioSection,
        private readonly faults: Fault[],
    ) {
        this.revisions = section.revisions.flatMap((one, index) => this.readRevision(one, index));
        faults.push(...duplicateFaults(this.revisions));
        this.foreign = section.foreign.flatMap((one, index) => this.readForeign(one, index));
        for (const [tag, revision] of Object.entries(section.tags)) {
            this.readTag(tag, revision);
        }
        this.checkDefault();
    }

    /** Undefined for a text that is neither a tag nor a revision, nor a `default` that somebody serves. */
    resolve(choice: string): Choice | undefined {
        if (
            choice === DEFAULT &&
            this.section.defaultRevision !== undefined &&
            !this.foreign.some((one) => one.revision === DEFAULT && !one.remove)
        ) {
            return { revision: this.section.defaultRevision, tag: DEFAULT };
        }
        const tagged = this.tags.get(choice);
        if (tagged !== undefined) {
            return { revision: tagged, tag: choice };
        }
        return this.has(choice) ? { revision: choice, tag: undefined } : undefined;
    }

    /** Resolves; a fault about `subject` where nobody has the name. */
    resolveAt(subject: string, choice: string): Choice | undefined {
        const found = this.resolve(choice);
        if (!found) {
            this.faults.push(
                choice === DEFAULT ? noDefault(subject) : this.unknown(subject, choice),
            );
        }
        return found;
    }

    versionOf(revision: string): IstioVersion | undefined {
        return (
            this.revisions.find(({ name }) => name === revision)?.version ??
            this.foreign.find((one) => one.revision === revision)?.version
        );
    }

    private has(revision: string): boolean {
        return (
            this.revisions.some(({ name }) => name === revision) ||
            this.foreign.some((one) => one.revision === revision)
        );
    }

    private readRevision(
        { version: given, name: own, ...rest }: IstioSection["revisions"][number],
        index: number,
    ): IstioRevision[] {
        const key = `istio.revisions.${index}`;
        const version = parseIstioVersion(given, `${key}.version`);
        if (own !== undefined) {
            this.faults.push(...nameFaults(`${key}.name`, own, "istiod-"));
        }
        if (own === DEFAULT) {
            this.faults.push({
                subject: `${key}.name`,
                value: own,
                rule: "stands for the install without a revision name; a revision called so takes over istio-injection=enabled (istio/istio#48643)",
                next: "leave the name out; set istio.defaultRevision instead",
            });
        }
        if (isFault(version)) {
            this.faults.push(version);
            return [];
        }
        return [{ ...rest, version, name: own ?? revisionName(version) }];
    }

    private readForeign(
        { revision: name, version: given, ...rest }: IstioSection["foreign"][number],
        index: number,
    ): ForeignRevision[] {
        const key = `istio.foreign.${index}`;
        const version =
            given === undefined ? undefined : parseIstioVersion(given, `${key}.version`);
        this.faults.push(...nameFaults(`${key}.revision`, name, ""));
        if (this.revisions.some((one) => one.name === name)) {
            this.faults.push({
                subject: `${key}.revision`,
                value: name,
                rule: "is also one of istio.revisions; a control plane is ours or foreign, not both",
                next: `remove it from istio.foreign, or give ours another name`,
            });
        }
        if (this.section.foreign.findIndex((one) => one.revision === name) !== index) {
            this.faults.push({
                subject: `${key}.revision`,
                value: name,
                rule: "is named twice in istio.foreign",
                next: "remove one of the entries",
            });
        }
        if (version && isFault(version)) {
            this.faults.push(version);
            return [{ ...rest, revision: name, version: undefined }];
        }
        return [{ ...rest, revision: name, version }];
    }

    private readTag(tag: string, revision: string): void {
        const subject = `istio.tags.${tag}`;
        const version = this.versionOf(revision);
        // From 1.28 on a tag has a Service of its own.
        const service = version && isFrom(version, "1.28") ? "istiod-revision-tag-" : "";
        this.faults.push(...nameFaults(subject, tag, service));
        if (tag === DEFAULT) {
            this.faults.push({
                subject,
                value: revision,
                rule: "the tag default goes together with the default validator",
                next: `remove it and set istio.defaultRevision: ${revision}`,
            });
            return;
        }
        if (this.has(tag)) {
            this.faults.push({
                subject,
                value: revision,
                rule: `a tag may not have the name of a revision, and ${tag} is one (istio/istio#56128)`,
                next: "give the tag another name",
            });
            return;
        }
        if (!this.has(revision)) {
            this.faults.push(this.unknown(subject, revision, "revision"));
            return;
        }
        this.faults.push(...tagSupportFaults(subject, revision, version));
        this.tags.set(tag, revision);
    }

    private checkDefault(): void {
        const { defaultRevision: revision } = this.section;
        const subject = "istio.defaultRevision";
        if (revision === undefined) {
            return;
        }
        if (!this.has(revision) || revision === DEFAULT) {
            this.faults.push(this.unknown(subject, revision, "revision"));
            return;
        }
        this.faults.push(...tagSupportFaults(subject, revision, this.versionOf(revision)));
    }

    private unknown(subject: string, value: string, kind = "tag or revision"): Fault {
        const known = [
            ...(kind === "revision" ? [] : this.tags.keys()),
            ...this.revisions.map(({ name }) => name),
            ...this.foreign.map((one) => one.revision),
        ];
        return {
            subject,
            value,
            rule: `is no ${kind}; Istio would inject nothing, without an error`,
            next: `set one of: ${known.join(", ")}`,
        };
    }
}

/** One fault for each entry whose name, or else whose version, an earlier one has. */
function duplicateFaults(revisions: readonly IstioRevision[]): Fault[] {
    return revisions.flatMap(({ name, version }, index): Fault[] => {
        const earlier = revisions.slice(0, index);
        if (earlier.some((one) => one.name === name)) {
            return [
                {
                    subject: "istio.revisions",
                    value: name,
                    rule: "two revisions have this name",
                    next: "remove one of them, or set its name",
                },
            ];
        }
        const same = earlier.find((one) => one.version.text === version.text);
        return same
            ? [
                  {
                      subject: "istio.revisions",
                      value: version.text,
                      rule: `two names for one version: ${same.name} and ${name}`,
                      next: "remove one of them",
                  },
              ]
            : [];
    });
}
