import { permissionTexts } from "../plan/permissions";
import type { Permissions } from "../plan/review";
import type { Length } from "./blastRadius";

/** Nothing where nothing is missing; else each one, since an update is refused without them. */
export function permissionLines(
    { unknown, missing, maybe, asked }: Permissions,
    length: Length,
): string[] {
    if (unknown !== undefined) {
        return [`permissions: unknown: ${unknown}`];
    }
    return [
        ...(missing.length > 0
            ? [
                  `permissions: ${missing.length} that the update needs are missing (${asked} asked)`,
                  ...permissionTexts(missing).map((text) => `  may not: ${text}`),
              ]
            : []),
        ...(maybe.length > 0 && (length === "all" || missing.length > 0)
            ? [
                  `permissions: ${maybe.length} more are missing that an update may need`,
                  ...(length === "all"
                      ? permissionTexts(maybe).map((text) => `  may not: ${text}`)
                      : []),
              ]
            : []),
    ];
}
