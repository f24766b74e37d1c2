import { describe, expect, test } from "vitest";
import { checkInputs, type CommandInputs } from "../../embedded/standIns/commandInputs";
import { runCommand, type CommandOutputs } from "../../embedded/standIns/commandRunner";
import { create, diff, remove, update } from "../../embedded/standIns/commandSteps";
import { LineLog } from "../../embedded/standIns/lineLog";
import { unknown } from "../../embedded/standIns/properties";

const none: CommandOutputs = { stdout: "", stderr: "" };

async function run(command: string, inputs: CommandInputs = {}, previous = none) {
    const lines: string[] = [];
    const { signal } = new AbortController();
    const log = (line: string): void => void lines.push(line);
    return { ...(await runCommand({ command, inputs, previous, signal, log })), lines };
}

describe("inputs", () => {
    test("an input that only the official provider knows is refused by name, all at once", () => {
        const failures = checkInputs({ create: "true", assetPaths: ["*"], archivePaths: ["*"] });
        expect(failures.map(({ property }) => property)).toEqual(["assetPaths", "archivePaths"]);
        expect(failures[0]?.reason).toMatch(
            /^stand-in for the command provider: input 'assetPaths' is not supported; install/,
        );
    });

    test.each([
        [{ create: 1 }, "'create' must be a string"],
        [{ interpreter: "node" }, "'interpreter' must be a list of strings"],
        [{ environment: { A: 1 } }, "'environment' must be a map of strings"],
        [{ addPreviousOutputInEnv: "no" }, "'addPreviousOutputInEnv' must be a boolean"],
    ])("a wrong type is refused: %j", (inputs, reason) => {
        expect(checkInputs(inputs).map((failure) => failure.reason)).toEqual([reason]);
    });

    test("what is not known before the update, and what the engine adds, is not refused", () => {
        expect(
            checkInputs({
                create: unknown,
                environment: { A: unknown },
                interpreter: [unknown],
                triggers: unknown,
                version: "1.2.1",
                __internal: {},
            }),
        ).toEqual([]);
    });
});

describe("running", () => {
    test("one newline at the end is cut and each line is logged", async () => {
        expect(await run("echo a; echo; printf 'b\\n\\n'")).toEqual({
            stdout: "a\n\nb\n",
            stderr: "",
            lines: ["a", "", "b", ""],
        });
    });

    test.each([
        ["stdout", ["out"]],
        ["stderr", ["err"]],
        ["none", []],
    ])("logging: %s keeps the other lines out of the log", async (logging, lines) => {
        expect(await run("echo out; echo err >&2", { logging })).toEqual({
            stdout: "out",
            stderr: "err",
            lines,
        });
    });

    test.each([
        ["echo why; exit 3", {}, 'exit status 3: running "echo why; exit 3":\nwhy\n'],
        ["kill -9 $$", {}, 'signal: killed: running "kill -9 $$":\n'],
        ["x", { dir: "/no/such" }, 'chdir /no/such: no such file or directory: running "x":\n'],
        [
            "x",
            { interpreter: ["no-such-program"] },
            'exec: "no-such-program": executable file not found in $PATH: running "x":\n',
        ],
        [
            "x",
            { interpreter: ["/no/such"] },
            'fork/exec /no/such: no such file or directory: running "x":\n',
        ],
    ])("the error of %j %j says what happened", async (command, inputs, message) => {
        await expect(run(command, inputs)).rejects.toThrow(new Error(message));
    });

    test("a command that does not read its stdin still succeeds", async () => {
        const stdin = "x".repeat(1_000_000);
        expect((await run("echo done", { stdin })).stdout).toBe("done");
    });

    test("the outputs of before win over the environment, which wins over the process's", async () => {
        const environment = { HOME: "/mine", PULUMI_COMMAND_STDOUT: "input" };
        const command = 'echo "$HOME $PULUMI_COMMAND_STDOUT $PULUMI_COMMAND_STDERR"';
        const previous = { stdout: "before", stderr: "" };
        expect((await run(command, { environment }, previous)).stdout).toBe("/mine before ");
    });

    test("a line that would hang the official provider is an error that says so", async () => {
        const command = "head -c 65536 /dev/zero | tr '\\0' x; sleep 60";
        await expect(run(command)).rejects.toThrow("64 KiB or more makes the official");
        const quiet = await run("head -c 65536 /dev/zero | tr '\\0' x", { logging: "none" });
        expect(quiet.stdout).toHaveLength(65536);
    });

    test("an abort kills the command", async () => {
        const stop = new AbortController();
        const log = (): void => stop.abort();
        const inputs = { interpreter: ["/bin/sh", "-c"] };
        const command = "echo started; exec sleep 60";
        await expect(
            runCommand({ command, inputs, previous: none, signal: stop.signal, log }),
        ).rejects.toThrow(/^signal: killed: running/);
    });

    test("lines may arrive in pieces and with carriage returns", () => {
        const lines: string[] = [];
        const log = new LineLog(
            (line) => lines.push(line),
            () => lines.push("too long"),
        );
        for (const piece of ["a", "b\r\nc", "\nd"]) log.write(Buffer.from(piece));
        log.end();
        expect(lines).toEqual(["ab", "c", "d"]);
    });
});

describe("steps", () => {
    const context = { signal: new AbortController().signal, log: () => undefined };

    test("only triggers as a whole replace; the SDK sees to their elements", () => {
        const changes = (old: object, now: object): [string, boolean][] =>
            diff({ inputs: old as never, state: {} }, now as never, []).map((change) => [
                change.path,
                change.replaces,
            ]);
        expect(changes({ triggers: [1] }, { triggers: [2] })).toEqual([["triggers[0]", false]]);
        expect(changes({}, { triggers: [2] })).toEqual([["triggers", true]]);
        expect(changes({ stdin: "a" }, { stdin: "b" })).toEqual([["stdin", false]]);
        expect(changes({ stdin: "a" }, { stdin: "a", version: "2" })).toEqual([]);
    });

    test("an ignored change stays as it is in the state", () => {
        const old = { inputs: { stdin: "a" }, state: { stdin: "a" } };
        expect(diff(old, { stdin: "b" }, ["stdin"])).toEqual([]);
    });

    test("a preview runs nothing and promises no output that may change", async () => {
        const inputs = { create: "exit 1", stdin: "b" };
        const { state } = await create("wave", inputs, "preview");
        expect(state).toEqual({ ...inputs, stdout: unknown, stderr: unknown });
        const old = { create: "exit 1", stdin: "a", stdout: "x", stderr: "y" };
        expect(await update(old, inputs, "preview")).toEqual(state);
        expect(await update({ ...old, stdin: "b" }, inputs, "preview")).toMatchObject({
            stdout: "x",
            stderr: "y",
        });
    });

    test("ids tell the resource's name", async () => {
        const { id } = await create("wave", {}, context);
        expect(id).toMatch(/^wave[0-9a-f]{8}$/);
    });

    test("without a command outputs stay on update, and delete is no work", async () => {
        const old = { stdout: "x", stderr: "y" };
        expect(await update(old, { stdin: "b" }, context)).toEqual({ ...old, stdin: "b" });
        await remove(old, context);
    });
});
