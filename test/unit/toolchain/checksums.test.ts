import fc from "fast-check";
import { expect, test } from "vitest";
import { publishedSha256 } from "../../../toolchain/checksums";

const hash = fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((bytes) => Buffer.from(bytes).toString("hex"));
const name = fc.stringMatching(/^[a-z][a-z0-9._-]{0,20}$/);

test("the right line is found among others, in every usual form", () => {
    fc.assert(
        fc.property(
            fc.uniqueArray(fc.tuple(name, hash), { minLength: 1, selector: ([file]) => file }),
            fc.constantFrom("  ", " *", "  ./"),
            fc.constantFrom("\n", "\r\n"),
            (entries, separator, end) => {
                const text = entries
                    .map(([file, sum]) => `${sum}${separator}${file}${end}`)
                    .join("");
                for (const [file, sum] of entries) {
                    expect(publishedSha256(text, file)).toBe(sum);
                }
            },
        ),
    );
});

const one = "a".repeat(64);
const two = "b".repeat(64);

test.each([
    ["a hash alone", `${one}\n`, one],
    ["a hash in capitals", `${one.toUpperCase()}  tool`, one],
    ["the same line twice", `${one}  tool\n${one}  tool\n`, one],
])("%s is read", (_, text, expected) => {
    expect(publishedSha256(text, "tool")).toBe(expected);
});

test.each([
    ["an empty file", "", "no"],
    ["a web page", "<html>not found</html>", "no"],
    ["a hash of another kind", `${one}${one}  tool`, "no"],
    ["a longer file name", `${one}  tool.sig`, "no"],
    ["two hashes for one file", `${one}  tool\n${two}  tool\n`, "more than one"],
])("%s gives no checksum to trust", (_, text, count) => {
    expect(() => publishedSha256(text, "tool")).toThrow(
        `the publisher's checksum file has ${count} SHA-256 for tool`,
    );
});
