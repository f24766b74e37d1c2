import type { CertificateEntry } from "../plan/certificateReport";

/** A line for each certificate, for the preview. Dates, not days left: they are the same tomorrow. */
export function certificateLines(entries: readonly CertificateEntry[]): string[] {
    return entries.map(
        ({ name, subject, sha256, notBefore, notAfter, verdict }) =>
            `certificate ${name}: ${subject}, valid ${notBefore} to ${notAfter}, SHA-256 ${sha256}: ${verdict}`,
    );
}
