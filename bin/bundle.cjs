// Runs the project's TypeScript where it starts again and again: as Pulumi's program, as the program of every command, and as
// the plugins' stand-ins. Plain Node, so that nothing has to be built first. All of it is bundled into one file at the first
// start after a change, because reading the Kubernetes client's 900 modules one by one takes several times as long as the rest
// of a start. What V8 makes of the file is kept as well.
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const Module = require("node:module");
const { dirname, join } = require("node:path");
const v8 = require("node:v8");
const vm = require("node:vm");

const project = dirname(__dirname);
const cache = join(project, "node_modules", ".cache", "mesh-upgrade");
const folders = ["charts", "cluster", "components", "plan", "program", "report", "rollout"];
const standIns = [
    "embedded/gateway.ts",
    "embedded/standIns/commandProvider.ts",
    "embedded/standIns/languageHost.ts",
];

/** Source files, as paths from the project's directory. */
function below(...names) {
    return names.flatMap((folder) =>
        fs
            .readdirSync(join(project, folder), { recursive: true })
            .filter((name) => name.endsWith(".ts"))
            .map((name) => `${folder}/${name}`),
    );
}

/** The bundle that a file is in: its programs, and the files that it is made of. */
function bundleOf(file) {
    const files = ["config.ts", "index.ts", ...below(...folders)].sort();
    return file.startsWith("embedded/")
        ? {
              name: "embedded",
              programs: standIns,
              files: [...files, ...below("embedded")].sort(),
              external: [],
          }
        : // Pulumi's packages know the engine by their one instance.
          { name: "program", programs: files, files, external: ["@pulumi/*"] };
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

function build({ programs, external }) {
    // Each program is a function, run when it is asked for: loading one does not start the others.
    const functions = programs.map((file) => `"${file}": () => require("./${file}"),`);
    const { outputFiles } = require("esbuild").buildSync({
        stdin: { contents: `module.exports = {${functions.join("\n")}};`, resolveDir: project },
        absWorkingDir: project,
        bundle: true,
        write: false,
        platform: "node",
        target: "node20",
        external,
        minifyWhitespace: true,
        lineLimit: 200,
        logLevel: "warning",
        // By which a module that is a program as well finds out whether it was started: here it never is.
        logOverride: { "empty-import-meta": "silent" },
    });
    return outputFiles[0].text;
}

/** Writes a file beside and moves it, so that a program that starts meanwhile never reads half of one. */
function keep(file, content) {
    try {
        fs.mkdirSync(cache, { recursive: true });
        const aside = `${file}.${process.pid}`;
        fs.writeFileSync(aside, content);
        fs.renameSync(aside, file);
    } catch {
        // Not ours to write: the next start makes it again.
    }
}

/** Removes what was kept before. */
function forget(name) {
    try {
        for (const old of fs.readdirSync(cache).filter((file) => file.startsWith(`${name}-`))) {
            fs.rmSync(join(cache, old), { force: true });
        }
    } catch {
        // There is none, or it is not ours.
    }
}

function read(file, encoding) {
    try {
        return fs.readFileSync(file, encoding);
    } catch {
        return undefined;
    }
}

/** The exports of a source file, such as `index.ts`, which runs now. */
exports.load = (file) => {
    const bundle = bundleOf(file);
    const path = join(cache, `${bundle.name}-${keyOf(bundle.files)}.cjs`);
    let text = read(path, "utf8");
    if (text === undefined) {
        text = build(bundle);
        forget(bundle.name);
        keep(path, text);
    }
    // V8 takes its code back under the flags only under which it was made.
    const tag = v8.cachedDataVersionTag();
    const codePath = `${path}.${tag}`;
    const cachedData = read(codePath);
    const main = new Module(join(project, "bundle.cjs"), module);
    main.filename = main.id;
    const script = new vm.Script(Module.wrap(text), {
        filename: main.filename,
        cachedData,
        importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    const require = Module.createRequire(main.filename);
    script.runInThisContext()(main.exports, require, main, main.filename, project);
    const loaded = main.exports[file]();
    // With the functions that the start compiled, which are most of what the next one needs. A program may have changed flags.
    if (script.cachedDataRejected !== false && v8.cachedDataVersionTag() === tag) {
        keep(codePath, script.createCachedData());
    }
    return loaded;
};
