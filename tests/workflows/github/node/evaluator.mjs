// GitHub's own parser and expressions behind one JSON line per question; started by ../expressions.py.
import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";

import { Evaluator, Lexer, Parser, data } from "@actions/expressions";
import { TokenType } from "@actions/expressions/lexer";
import { NoOperationTraceWriter, convertWorkflowTemplate, parseWorkflow } from "@actions/workflow-parser";
import { convertActionTemplate, parseAction } from "@actions/workflow-parser/actions/index";
import { BasicExpressionToken, MappingToken, SequenceToken } from "@actions/workflow-parser/templates/tokens/index";

const CONTEXTS = [
  "env", "github", "inputs", "job", "matrix", "needs", "runner", "secrets", "steps", "strategy", "vars",
];

// The tree of tokens as data. The converted model would drop `with`, `shell`, `defaults`, `permissions` and more.
function plain(token) {
  if (token instanceof BasicExpressionToken) return { $expr: token.expression };
  const places = (count) => [...Array(count).keys()];
  if (token instanceof SequenceToken) return places(token.count).map((i) => plain(token.get(i)));
  if (token instanceof MappingToken) {
    const pairs = places(token.count).map((i) => token.get(i));
    return Object.fromEntries(pairs.map(({ key, value }) => [key.toString(), plain(value)]));
  }
  return token.value ?? null; // a string, number or boolean; the token of null has no value
}

const condition = (converted) => ({ $expr: converted?.expression ?? "success()" });

async function parse({ name, content }) {
  const { context, value } = parseWorkflow({ name, content }, new NoOperationTraceWriter());
  const template = await convertWorkflowTemplate(context, value);
  const errors = context.errors.getErrors().map((error) => error.message);
  if (errors.length) return { errors };
  const tree = plain(value);
  for (const job of template.jobs) {
    // Only the model knows the success() that a condition implies, and the ids that GitHub makes up.
    const own = tree.jobs[job.id.toString()];
    own.if = condition(job.if);
    job.steps?.forEach((step, i) => Object.assign(own.steps[i], { $id: step.id, if: condition(step.if) }));
  }
  return { tree };
}

function parseLocalAction({ name, content }) {
  const { context, value } = parseAction({ name, content }, new NoOperationTraceWriter());
  const template = value && convertActionTemplate(context, value);
  const errors = context.errors.getErrors().map((error) => error.message);
  if (errors.length) return { errors };
  const tree = plain(value);
  template.runs.steps?.forEach((step, i) =>
    Object.assign(tree.runs.steps[i], { $id: tree.runs.steps[i].id ?? `__step_${i + 1}`, if: condition(step.if) }),
  );
  return { tree };
}

function filesUnder(folder, found = []) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (!entry.isDirectory()) found.push(full);
    else if (!entry.name.startsWith(".venv")) filesUnder(full, found);
  }
  return found;
}

function shape(pattern) {
  if (pattern.startsWith("!")) throw new Error("hashFiles with `!` is not played");
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  const globbed = escaped.replace(/\*\*\/?|\*|\?/g, (found) =>
    found.startsWith("**") ? ".*" : found === "*" ? "[^/]*" : "[^/]",
  );
  return new RegExp(`^${globbed}(/.*)?$`);
}

function hashFiles(workspace, patterns) {
  if (!fs.existsSync(workspace)) return "";
  const shapes = patterns.map(shape);
  const matches = (file) => shapes.some((each) => each.test(path.relative(workspace, file)));
  const files = filesUnder(workspace).filter(matches).sort();
  const sha256 = (bytes) => crypto.createHash("sha256").update(bytes).digest();
  return files.length ? sha256(Buffer.concat(files.map((file) => sha256(fs.readFileSync(file))))).toString("hex") : "";
}

function evaluate(expression, { context, status, workspace }) {
  const claim = (name, call) => ({ name, minArgs: 0, maxArgs: 0, call: () => new data.BooleanData(call()) });
  const functions = [
    claim("always", () => true),
    ...["success", "failure"].map((name) => claim(name, () => status === name)),
    claim("cancelled", () => status === "cancelled"),
    {
      name: "hashFiles",
      minArgs: 1,
      maxArgs: 255,
      call: (...given) => new data.StringData(hashFiles(workspace, given.map((each) => each.coerceString()))),
    },
  ];
  const { tokens } = new Lexer(expression).lex();
  for (const token of tokens) {
    // 0.3.61 turns only the first '' of a string into '.
    if (token.type === TokenType.STRING) token.value = token.lexeme.slice(1, -1).replaceAll("''", "'");
  }
  const tree = new Parser(tokens, CONTEXTS, functions).parse();
  return new Evaluator(tree, context, new Map(functions.map((each) => [each.name.toLowerCase(), each]))).evaluate();
}

function isTruthy(value) {
  if (value.kind === data.Kind.Null) return false;
  if (value.kind === data.Kind.String) return value.value !== "";
  if (value.kind === data.Kind.Number) return value.value !== 0 && !Number.isNaN(value.value);
  return value.kind === data.Kind.Boolean ? value.value : true;
}

function resolve(node, ask) {
  if (Array.isArray(node)) return node.map((each) => resolve(each, ask));
  if (!node || typeof node !== "object") return node;
  if (!("$expr" in node)) return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, resolve(value, ask)]));
  const value = evaluate(node.$expr, ask);
  if (ask.as === "condition") return isTruthy(value);
  if (value.primitive && value.kind !== data.Kind.Null) return value.coerceString();
  return JSON.parse(JSON.stringify(value, data.replacer));
}

async function answer(ask) {
  if (ask.op === "workflow") return parse(ask);
  if (ask.op === "action") return parseLocalAction(ask);
  const context = JSON.parse(JSON.stringify(ask.context), data.reviver);
  return { value: resolve(ask.node, { ...ask, context }) };
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  let said;
  try {
    said = await answer(JSON.parse(line));
  } catch (error) {
    said = { errors: [String(error.message ?? error)] };
  }
  process.stdout.write(JSON.stringify(said) + "\n");
}
