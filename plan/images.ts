/** The tag of an image reference: `cr.l5d.io/linkerd/proxy:edge-24.7.5@sha256:...` -> `edge-24.7.5`. */
export function imageTag(image: string): string | undefined {
    const [name = ""] = image.split("@");
    return /:([\w][\w.-]*)$/.exec(name)?.[1];
}
