// `node bin/run.cjs rollout/wave.ts [ARGUMENT ...]` runs one of the project's programs. Helm, which starts a post-renderer by its
// first line, names it by its whole path.
const { realpathSync } = require("node:fs");
const { dirname, isAbsolute, relative } = require("node:path");
const [node, , program, ...rest] = process.argv;
process.argv = [node, program, ...rest];
const name = isAbsolute(program) ? relative(dirname(__dirname), realpathSync(program)) : program;
require("./bundle.cjs").load(name);
