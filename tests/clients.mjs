// Octokit, GitHub's own client, against the sandbox. Input: JSON on stdin. Output: JSON with what it saw.
import { createAppAuth } from "@octokit/auth-app";
import { request as octokit } from "@octokit/request";
import { readFileSync } from "node:fs";

const { githubUrl, appId, installationId, privateKey, brokerToken } = JSON.parse(readFileSync(0, "utf8"));
const request = octokit.defaults({ baseUrl: githubUrl });
const auth = createAppAuth({ appId, privateKey, installationId, request });
const statusOf = (route, token) =>
  request(route, { headers: { authorization: `token ${token}` } }).then(
    (response) => response.status,
    (error) => error.status,
  );

const { token: jwt } = await auth({ type: "app" });
const app = await request("GET /repos/{owner}/{repo}/installation", {
  owner: "octo-org",
  repo: "octo-repo",
  headers: { authorization: `bearer ${jwt}` },
});
const minted = await auth({ type: "installation", repositoryNames: ["octo-repo"], permissions: { contents: "read" } });
const own = await statusOf("GET /repos/octo-org/octo-repo", minted.token);
const broker = await statusOf("GET /repos/octo-org/octo-repo", brokerToken);
const other = await statusOf("GET /repos/octo-org/other-repo", brokerToken);
const revoked = await statusOf("DELETE /installation/token", minted.token);
const after = await statusOf("GET /repos/octo-org/octo-repo", minted.token);
const { repositoryNames, repositorySelection, permissions } = minted;
console.log(
  JSON.stringify({ id: app.data.id, repositoryNames, repositorySelection, permissions, own, broker, other, revoked, after }),
);
