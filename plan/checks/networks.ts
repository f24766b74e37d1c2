import { BlockList, isIP } from "node:net";
import { at } from "../values";

/** Ranges of value clusterNetworks; undefined where there are none, or one that cannot be read. */
export function networksOf(values: unknown): readonly string[] | undefined {
    const text = at(values, "clusterNetworks");
    const ranges = typeof text === "string" ? text.split(",").map((one) => one.trim()) : [];
    return ranges.length > 0 && ranges.every((one) => parse(one) !== undefined)
        ? ranges
        : undefined;
}

/** Whether a range lies within one of the others. */
export function rangeWithin(range: string, networks: readonly string[]): boolean {
    const inner = parse(range);
    return (
        inner !== undefined &&
        networks.some((one) => {
            const outer = parse(one);
            return (
                outer !== undefined &&
                inner.prefix >= outer.prefix &&
                addressWithin([one])(inner.address)
            );
        })
    );
}

/** Tells whether an address lies within one of the ranges. */
export function addressWithin(networks: readonly string[]): (address: string) => boolean {
    const list = new BlockList();
    for (const one of networks) {
        const range = parse(one);
        if (range) {
            list.addSubnet(range.address, range.prefix, range.family);
        }
    }
    return (address) => {
        const family = familyOf(address);
        return family !== undefined && list.check(address, family);
    };
}

function parse(range: string) {
    const [address = "", text = ""] = range.split("/");
    const family = familyOf(address);
    const prefix = Number(text);
    const longest = family === "ipv4" ? 32 : 128;
    return family !== undefined && /^\d+$/.test(text) && prefix <= longest
        ? { address, prefix, family }
        : undefined;
}

function familyOf(address: string): "ipv4" | "ipv6" | undefined {
    const version = isIP(address);
    return version === 4 ? "ipv4" : version === 6 ? "ipv6" : undefined;
}
