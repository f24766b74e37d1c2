import { describe, expect, test } from "vitest";
import {
    differences,
    equal,
    fromStruct,
    isUnknown,
    reveal,
    toStruct,
    unknown,
    type Properties,
    type Property,
} from "../../embedded/standIns/properties";

const secret = (value: Property): Property => ({
    "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
    value,
});

describe("differences", () => {
    test.each<[Properties, Properties, [string, string][]]>([
        [{ a: 1 }, { a: 1 }, []],
        [
            { a: 1 },
            { b: 2 },
            [
                ["a", "delete"],
                ["b", "add"],
            ],
        ],
        [
            { a: [1, 2] },
            { a: [1, 3, 4] },
            [
                ["a[1]", "update"],
                ["a[2]", "add"],
            ],
        ],
        [{ a: [1, 2] }, { a: [1] }, [["a[1]", "delete"]]],
        [
            { a: { b: 1, "c.d": 1 } },
            { a: { b: 2 } },
            [
                ['a["c.d"]', "delete"],
                ["a.b", "update"],
            ],
        ],
        [{ a: ["x"] }, { a: [unknown] }, [["a[0]", "update"]]],
        [{ a: ["x"] }, { a: unknown }, [["a", "update"]]],
        [{ a: secret("x") }, { a: secret("x") }, []],
        [{ a: secret({ b: 1 }) }, { a: secret({ b: 2 }) }, [["a", "update"]]],
    ])("%j -> %j", (old, now, expected) => {
        expect(differences(old, now).map(({ path, kind }) => [path, kind])).toEqual(expected);
    });

    test("what becomes secret is a change, or it would stay in the state in the clear", () => {
        expect(differences({ a: "x" }, { a: secret("x") })).toHaveLength(1);
        expect(equal(secret("x"), secret("x"))).toBe(true);
        expect(equal("x", undefined)).toBe(false);
    });
});

test("a secret is known to the command and unknown stays unknown", () => {
    expect(reveal(secret({ a: [secret("x")] }))).toEqual({ a: ["x"] });
    expect(isUnknown(secret(unknown))).toBe(true);
    expect(isUnknown([unknown])).toBe(false);
});

test("messages keep all but nulls", () => {
    const values = { a: [1, null, { b: null, c: secret(true) }], d: null, e: "" };
    expect(fromStruct(toStruct(values))).toEqual({ a: [1, null, { c: secret(true) }], e: "" });
    expect(fromStruct(undefined)).toEqual({});
});
