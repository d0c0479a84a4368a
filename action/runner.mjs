// How an action talks to its runner: inputs, workflow commands, and the files that the runner names.
// https://docs.github.com/actions/reference/workflow-commands-for-github-actions

import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";

export function input(name) {
  return (process.env[`INPUT_${name.toUpperCase()}`] ?? "").trim();
}

export function isTrue(name) {
  const value = input(name).toLowerCase();
  if (!["true", "false", ""].includes(value)) {
    throw new Error(`the input ${name} must be true or false`);
  }
  return value === "true";
}

export function state(name) {
  return process.env[`STATE_${name}`] ?? "";
}

export function saveState(name, value) {
  append("GITHUB_STATE", name, value);
}

export function setOutput(name, value) {
  append("GITHUB_OUTPUT", name, value);
}

export function setVariable(name, value) {
  append("GITHUB_ENV", name, value);
}

export function addPath(folder) {
  appendFileSync(process.env.GITHUB_PATH, `${folder}\n`);
}

export function mask(secret) {
  command("add-mask", secret);
}

export function warning(text) {
  command("warning", text);
}

export function fail(error) {
  command("error", error.message);
  process.exitCode = 1;
}

function command(name, text) {
  const escaped = text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
  process.stdout.write(`::${name}::${escaped}\n`);
}

// The delimiter is random: a value cannot end itself and go on with a name of its own.
function append(file, name, value) {
  const delimiter = randomUUID();
  appendFileSync(process.env[file], `${name}<<${delimiter}\n${value}\n${delimiter}\n`);
}
