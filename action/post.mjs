// Revokes the token at the end of the job. A failure is a warning: the token expires within an hour anyway.

import { spawnSync } from "node:child_process";

import * as runner from "./runner.mjs";

const token = runner.state("token");
if (token) {
  const args = ["revoke", "--stdin", "--github-host", runner.input("github-host") || "github.com"];
  const { error, status } = spawnSync(runner.state("client"), args, { input: token, stdio: ["pipe", "inherit", "inherit"] });
  if (error || status !== 0) {
    runner.warning(`the token was not revoked${error ? `: ${error.message}` : "; the line above says why"}`);
  }
}
