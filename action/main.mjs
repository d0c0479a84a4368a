// Gets a token and hands it to the job. The post step revokes it.

import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";

import { install, program } from "./client.mjs";
import * as runner from "./runner.mjs";

try {
  const installed = runner.input("client");
  const folder = installed ? dirname(installed) : install(runner.input("github-token"));
  const client = installed || join(folder, program());
  const { token, expires_at, repositories } = mint(client);
  runner.mask(token);
  // First of all: whatever fails later, the post step can revoke it.
  runner.saveState("token", token);
  runner.saveState("client", client);
  runner.setOutput("token", token);
  runner.setOutput("expires-at", expires_at);
  runner.setOutput("repository", repositories[0]);
  runner.addPath(folder);
  if (runner.isTrue("export-env")) {
    exportVariables(token, repositories[0]);
  }
} catch (error) {
  runner.fail(error);
}

function mint(client) {
  const args = ["token", "--json", "--no-cache"];
  for (const name of ["function", "role-arn", "region", "github-host"]) {
    if (runner.input(name)) {
      args.push(`--${name}`, runner.input(name));
    }
  }
  const { error, status, stdout } = spawnSync(client, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (error || status !== 0) {
    throw new Error(error ? `cannot run ${client}: ${error.message}` : "there is no token; the line above says why");
  }
  try {
    return JSON.parse(stdout);
  } catch {
    // The parser's own message would repeat a part of the text.
    throw new Error(`${client} returned something other than JSON; check the input client`);
  }
}

// The variables that `github-token-broker exec` sets for gh.
function exportVariables(token, repository) {
  const host = runner.input("github-host").toLowerCase() || "github.com";
  const isCloud = host === "github.com" || host.endsWith(".ghe.com");
  for (const name of isCloud ? ["GH_TOKEN", "GITHUB_TOKEN"] : ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"]) {
    runner.setVariable(name, token);
  }
  // An inherited one can name another host.
  if (host !== "github.com" || process.env.GH_HOST) {
    runner.setVariable("GH_HOST", host);
  }
  runner.setVariable("GH_REPO", host === "github.com" ? repository : `${host}/${repository}`);
}
