#!/usr/bin/env bash
# Downloads the zip of one release and keeps it only if it is the expected one. artifact.tf runs this script.
#
# Input (environment variables, so that no value becomes part of a shell command):
#   RELEASE_REPOSITORY  owner/name on GitHub       RELEASE_VERSION     the release's tag
#   RELEASE_ASSET       the zip's name             RELEASE_FOLDER      where to put it
#   EXPECTED_SHA256     64 hex digits, or empty    VERIFY_ATTESTATION  true or false
# Output: RELEASE_FOLDER/RELEASE_ASSET and, written last, RELEASE_FOLDER/verified.sha256.
# Invariant: an unchecked file never gets its final name, and no partial download remains.
set -euo pipefail

fail() {
  printf 'fetch-release: %s\n' "$*" >&2
  exit 1
}

for name in RELEASE_REPOSITORY RELEASE_VERSION RELEASE_ASSET RELEASE_FOLDER; do
  [[ -n ${!name:-} ]] || fail "$name is not set. The Terraform module runs this script; do not run it yourself"
done

command -v gh >/dev/null ||
  fail 'the GitHub CLI (gh) is not on PATH, and lambda_artifact.release_version needs it. Install gh, or use lambda_artifact.lambda_zip_path or lambda_source_s3'

# Prints the SHA-256 of a file as 64 lowercase hex digits. `--check` is not portable: the sha256sum of macOS does not have it.
if command -v sha256sum >/dev/null; then
  sha256() { sha256sum <"$1" | cut -c 1-64 | tr A-F a-f; }
elif command -v shasum >/dev/null; then
  sha256() { shasum -a 256 <"$1" | cut -c 1-64 | tr A-F a-f; }
else
  fail 'neither sha256sum nor shasum is on PATH. Linux has the first and macOS the second; install one of them'
fi

# Says why the zip could not be downloaded, with gh's own message already on the screen. A failure to read the release (no network, no
# login, no such tag) is not the same as a release without this zip.
explain() {
  local assets
  assets=$(gh release view "$RELEASE_VERSION" --repo "$RELEASE_REPOSITORY" --json assets --jq '[.assets[].name] | join(", ")') ||
    fail "gh could not read release $RELEASE_VERSION of $RELEASE_REPOSITORY; its message is above. Check lambda_artifact.release_version, release_repository, the network, \`gh auth status\`, and GH_HOST if it is set. Nothing was deployed"
  fail "release $RELEASE_VERSION of $RELEASE_REPOSITORY has no $1. It has: ${assets:-no files}. Change architecture to the one of a zip that it has, or lambda_artifact.release_version. Nothing was deployed"
}

mkdir -p -- "$RELEASE_FOLDER"
work=$(mktemp -d -- "$RELEASE_FOLDER/fetch.XXXXXX")
trap 'rm -rf -- "$work"' EXIT

gh release download "$RELEASE_VERSION" --repo "$RELEASE_REPOSITORY" --dir "$work" \
  --pattern "$RELEASE_ASSET" --pattern checksums.txt >&2 || explain "$RELEASE_ASSET"
for file in "$RELEASE_ASSET" checksums.txt; do
  [[ -e $work/$file ]] || explain "$file"
  [[ -s $work/$file ]] || fail "$file of release $RELEASE_VERSION of $RELEASE_REPOSITORY is empty. Nothing was deployed"
done

# The sum in the one line for this zip. A line can have a carriage return, a `*` before the name or uppercase digits.
expected=$(tr -d '\r' <"$work/checksums.txt" | awk -v name="$RELEASE_ASSET" '$2 == name || $2 == "*" name || $2 == "./" name { print tolower($1) }')
[[ $expected =~ ^[0-9a-f]{64}$ ]] ||
  fail "checksums.txt of release $RELEASE_VERSION does not contain exactly one SHA-256 for $RELEASE_ASSET. Nothing was deployed"
actual=$(sha256 "$work/$RELEASE_ASSET")
[[ $actual =~ ^[0-9a-f]{64}$ ]] ||
  fail "the SHA-256 of $RELEASE_ASSET could not be computed: sha256sum or shasum printed \"$actual\". Nothing was deployed"
[[ $actual == "$expected" ]] ||
  fail "$RELEASE_ASSET does not match checksums.txt of release $RELEASE_VERSION: its SHA-256 is $actual, expected $expected. Nothing was deployed"

if [[ -n ${EXPECTED_SHA256:-} ]]; then
  [[ $actual == "$(tr A-F a-f <<<"$EXPECTED_SHA256")" ]] ||
    fail "$RELEASE_ASSET of release $RELEASE_VERSION does not match lambda_artifact.sha256: its SHA-256 is $actual, expected $EXPECTED_SHA256. Nothing was deployed"
fi

# --cert-identity is compared as a whole. --signer-workflow is a pattern without anchors, and --repo alone accepts any workflow on any
# branch. A self-hosted runner could sign what its owner likes.
if [[ ${VERIFY_ATTESTATION:-false} == true ]]; then
  gh attestation verify "$work/$RELEASE_ASSET" --repo "$RELEASE_REPOSITORY" --deny-self-hosted-runners \
    --cert-identity "https://${GH_HOST:-github.com}/$RELEASE_REPOSITORY/.github/workflows/release.yml@refs/tags/$RELEASE_VERSION" >&2 ||
    fail "no valid attestation that release.yml of $RELEASE_REPOSITORY built $RELEASE_ASSET from tag $RELEASE_VERSION on a GitHub-hosted runner (gh 2.67 or newer is required). Nothing was deployed"
fi

# A zip contains the names of its entries uncompressed.
LC_ALL=C grep -aq bootstrap "$work/$RELEASE_ASSET" ||
  fail "$RELEASE_ASSET of release $RELEASE_VERSION does not contain an executable named bootstrap. Nothing was deployed"

printf '%s  %s\n' "$actual" "$RELEASE_ASSET" >"$work/verified.sha256"
mv -f -- "$work/$RELEASE_ASSET" "$RELEASE_FOLDER/$RELEASE_ASSET"
mv -f -- "$work/verified.sha256" "$RELEASE_FOLDER/verified.sha256"
printf '%s: OK\n' "$RELEASE_ASSET" >&2
