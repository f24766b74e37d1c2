// What Pulumi starts: index.ts.
// Pulumi maps each stack that it takes, one for every promise and resource, to its TypeScript sources: a tenth of the program's
// time, and of no use where the program is one bundle.
Error.prepareStackTrace = undefined;
module.exports = require("./bundle.cjs").load("index.ts");
