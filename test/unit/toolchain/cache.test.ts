import { chmodSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { cacheDirectory } from "../../../toolchain";
import { removeFolders, temporaryFolder as home } from "./support";

afterAll(removeFolders);

test("the cache is made for its owner alone", () => {
    const base = join(home(), "deep", "cache");
    const directory = cacheDirectory({ XDG_CACHE_HOME: base });
    expect(directory).toBe(join(base, "mesh-upgrade"));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
});

test("a cache that others may write to is closed before it is used", () => {
    const base = home();
    mkdirSync(join(base, "mesh-upgrade"));
    chmodSync(join(base, "mesh-upgrade"), 0o777);
    const directory = cacheDirectory({ XDG_CACHE_HOME: base });
    expect(statSync(directory).mode & 0o777).toBe(0o700);
});

test.each([undefined, "", "relative/cache"])("XDG_CACHE_HOME %o means ~/.cache", (value) => {
    const HOME = home();
    const environment = value === undefined ? { HOME } : { HOME, XDG_CACHE_HOME: value };
    expect(cacheDirectory(environment)).toBe(join(HOME, ".cache", "mesh-upgrade"));
});
