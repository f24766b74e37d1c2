// `node bin/run.cjs rollout/wave.ts [ARGUMENT ...]` runs one of the project's programs.
const [node, , program, ...rest] = process.argv;
process.argv = [node, program, ...rest];
require("./bundle.cjs").load(program);
