// Compiles the JSON Schemas named as arguments with ajv in strict mode, and judges documents with them.
//
// stdin: {"schemas": [path, ...], "documents": [{"schema": index, "value": any}, ...]}
// stdout: a list with, for each document, the instance paths of its errors; empty for a valid one.
// ajv itself is found through NODE_PATH. An error of a schema ends with its message on stderr.
"use strict";

const fs = require("node:fs");
const Ajv = require("ajv/dist/2020");

const order = JSON.parse(fs.readFileSync(0, "utf8"));
const judges = order.schemas.map((path) => {
  const schema = JSON.parse(fs.readFileSync(path, "utf8"));
  return new Ajv({ strict: true, allErrors: true }).compile(schema);
});
const verdicts = order.documents.map(({ schema, value }) => {
  const judge = judges[schema];
  return judge(value) ? [] : judge.errors.map((error) => error.instancePath);
});
process.stdout.write(JSON.stringify(verdicts));
