// The packages import JSON without `with {type: "json"}`, which Node refuses: say it for them.
import { register } from "node:module";

const hook = `
export async function resolve(specifier, context, next) {
  const found = await next(specifier, context);
  const json = found.url.endsWith(".json");
  return json ? { ...found, importAttributes: { ...found.importAttributes, type: "json" } } : found;
}
export async function load(url, context, next) {
  return url.endsWith(".json") ? next(url, { ...context, importAttributes: { type: "json" } }) : next(url, context);
}`;
register("data:text/javascript," + encodeURIComponent(hook));
