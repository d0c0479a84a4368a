// Installs the client of the release that this action belongs to. Two checks: its SHA-256 is in the release's
// checksums.txt, and GitHub attests that the release workflow built it at the release's tag.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";

const TARGETS = {
  "linux-x64": "x86_64-unknown-linux-musl",
  "linux-arm64": "aarch64-unknown-linux-musl",
  "darwin-x64": "x86_64-apple-darwin",
  "darwin-arm64": "aarch64-apple-darwin",
  "win32-x64": "x86_64-pc-windows-msvc",
};

// Returns the folder of the program.
export function install(token) {
  const target = TARGETS[`${process.platform}-${process.arch}`];
  if (!target) {
    throw new Error(`there is no client for ${process.platform} on ${process.arch}`);
  }
  if (!token) {
    throw new Error("the input github-token is empty. Set it to a token of github.com, which has the client's release, or set the input client");
  }
  const { repository, version } = release();
  const archive = `github-token-broker-cli-${target}${process.platform === "win32" ? ".zip" : ".tar.gz"}`;
  const folder = mkdtempSync(join(process.env.RUNNER_TEMP, "github-token-broker-"));
  const tag = `v${version}`;
  gh(token, "release", "download", tag, "--repo", repository, "--dir", folder, "--pattern", archive, "--pattern", "checksums.txt");
  verifyChecksum(join(folder, archive), archive, join(folder, "checksums.txt"));
  const workflow = `https://github.com/${repository}/.github/workflows/release.yml@refs/tags/${tag}`;
  gh(token, "attestation", "verify", join(folder, archive), "--repo", repository, "--cert-identity", workflow, "--deny-self-hosted-runners");
  const programs = join(folder, "bin");
  mkdirSync(programs);
  // Windows' own tar reads zip files; git's, which might come first on the PATH, does not.
  const tar = process.platform === "win32" ? join(process.env.SystemRoot, "System32", "tar.exe") : "tar";
  run(tar, ["-xf", join(folder, archive), "-C", programs, "--strip-components=1"], process.env);
  if (!existsSync(join(programs, program()))) {
    throw new Error(`${archive} does not contain ${program()}`);
  }
  return programs;
}

export function program() {
  return process.platform === "win32" ? "github-token-broker.exe" : "github-token-broker";
}

// Version and repository stand once, in the workspace's manifest.
function release() {
  const manifest = readFileSync(new URL("../Cargo.toml", import.meta.url), "utf8");
  const value = (name) => manifest.match(new RegExp(`^${name} = "([^"]+)"`, "m"))[1];
  return { version: value("version"), repository: value("repository").replace("https://github.com/", "") };
}

function verifyChecksum(path, name, checksums) {
  const line = readFileSync(checksums, "utf8").split("\n").find((line) => line.trim().split(/\s+\*?/)[1] === name);
  if (!line) {
    throw new Error(`checksums.txt does not name ${name}`);
  }
  const expected = line.trim().split(/\s+/)[0].toLowerCase();
  const actual = createHash("sha256").update(readFileSync(path)).digest("hex");
  if (actual !== expected) {
    throw new Error(`${name} has the SHA-256 ${actual}, but checksums.txt says ${expected}`);
  }
}

function gh(token, ...args) {
  run("gh", args, { ...process.env, GH_TOKEN: token, GH_HOST: "github.com" });
}

function run(name, args, env) {
  const { error, status } = spawnSync(name, args, { env, stdio: ["ignore", "inherit", "inherit"] });
  if (error?.code === "ENOENT") {
    throw new Error(`${name} is not installed on this runner. Install it, or set the input client`);
  }
  if (error || status !== 0) {
    throw new Error(`${name} ${args.slice(0, 2).join(" ")} failed`);
  }
}
