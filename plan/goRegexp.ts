/** Escapes of Go's regular expressions (RE2) by letter or digit. Source: pkg.go.dev/regexp/syntax */
const ESCAPES = /^[aftnrvdDsSwWbBAzCxpP]$/;
/** RE2 refuses more. */
const MOST_REPEATS = 1000;

/**
 * What keeps Go from reading a regular expression; undefined: nothing that is known here. What Go has not (looking around,
 * references back) is refused, and what only Go has is taken for something like it.
 */
export function goRegexpProblem(text: string): string | undefined {
    if (/\(\?<?[=!]/.test(text)) {
        return "Go does not look ahead or behind: (?= (?! (?<= (?<!";
    }
    let problem: string | undefined;
    const translated = text
        .replace(/\\Q.*?(\\E|$)/gs, "x")
        .replace(/\\([0-7]{2,3}|.?)/gs, (escape, letter: string) => {
            if (letter === "") {
                problem ??= "a backslash at the end";
            } else if (/^[1-9]$/.test(letter)) {
                problem ??= `no references back: ${escape}`;
            } else if (/^[a-zA-Z]$/.test(letter) && !ESCAPES.test(letter)) {
                problem ??= `no such escape: ${escape}`;
            }
            return { A: "^", z: "$", a: "\\x07", C: "." }[letter] ?? escape;
        })
        .replace(/\(\?P?<(\w+)>/g, "(?<$1>")
        .replace(/\(\?[imsU-]+:/g, "(?:")
        .replace(/\(\?[imsU-]+\)/g, "")
        .replace(/\[:\^?[a-z]+:\]/g, "a-z");
    if (problem !== undefined) {
        return problem;
    }
    const repeats = [...translated.matchAll(/\{(\d+)(?:,(\d*))?\}/g)].flatMap(([, a, b]) => [a, b]);
    if (repeats.some((one) => Number(one) > MOST_REPEATS)) {
        return `more than ${MOST_REPEATS} repeats`;
    }
    try {
        new RegExp(translated);
        return undefined;
    } catch (error) {
        return (error as Error).message.replace(/^.*\/: /s, "").toLowerCase();
    }
}
