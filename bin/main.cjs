// What Pulumi starts: index.ts.
module.exports = require("./bundle.cjs").load("index.ts");
