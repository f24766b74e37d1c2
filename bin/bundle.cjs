// Runs the project's TypeScript where it starts again and again: as Pulumi's program and as the program of every command. Plain
// Node, so that nothing has to be built first. All of it is bundled into one file at the first start after a change, because
// reading the Kubernetes client's 900 modules one by one takes several times as long as the rest of a start.
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const Module = require("node:module");
const { dirname, join } = require("node:path");

const project = dirname(__dirname);
const cache = join(project, "node_modules", ".cache", "mesh-upgrade");
const folders = ["charts", "cluster", "components", "plan", "program", "report", "rollout"];

/** The project's source files, as paths from its directory. */
function sources() {
    const below = (folder) =>
        fs
            .readdirSync(join(project, folder), { recursive: true })
            .filter((name) => name.endsWith(".ts"))
            .map((name) => `${folder}/${name}`);
    return ["config.ts", "index.ts", ...folders.flatMap(below)].sort();
}

/** Changes with every edit of a source and with the packages. */
function keyOf(files) {
    const hash = createHash("sha256");
    for (const file of [...files, "package-lock.json", "bin/bundle.cjs", "toolchain/cache.ts"]) {
        const { mtimeMs, size } = fs.statSync(join(project, file));
        hash.update(`${file}\0${mtimeMs}\0${size}\0`);
    }
    return hash.digest("hex").slice(0, 16);
}

function build(files) {
    // Each program is a function, run when it is asked for: loading one does not start the others.
    const programs = files.map((file) => `"${file}": () => require("./${file}"),`);
    const { outputFiles } = require("esbuild").buildSync({
        stdin: { contents: `module.exports = {${programs.join("\n")}};`, resolveDir: project },
        absWorkingDir: project,
        bundle: true,
        write: false,
        platform: "node",
        target: "node20",
        // Pulumi's packages know the engine by their one instance.
        external: ["@pulumi/*"],
        minifyWhitespace: true,
        lineLimit: 200,
        logLevel: "warning",
    });
    return outputFiles[0].text;
}

/** Writes the bundle beside and moves it, so that a program that starts meanwhile never reads half of one. */
function keep(file, text) {
    try {
        fs.mkdirSync(cache, { recursive: true });
        for (const old of fs.readdirSync(cache)) {
            fs.rmSync(join(cache, old), { force: true });
        }
        const aside = `${file}.${process.pid}`;
        fs.writeFileSync(aside, text);
        fs.renameSync(aside, file);
    } catch {
        // Not ours to write: the next start bundles again.
    }
}

function bundle() {
    const files = sources();
    const file = join(cache, `${keyOf(files)}.cjs`);
    try {
        return fs.readFileSync(file, "utf8");
    } catch {
        const text = build(files);
        keep(file, text);
        return text;
    }
}

/** The exports of a source file, such as `index.ts`, which runs now. */
exports.load = (file) => {
    const main = new Module(join(project, "bundle.cjs"), module);
    main.filename = main.id;
    main.paths = Module._nodeModulePaths(project);
    main._compile(bundle(), main.filename);
    return main.exports[file]();
};
