#!/usr/bin/env bash
# Downloads one zip of one release and lets it through only when it is what it should be. Run by artifact.tf.
#
# In (environment, so that no value is ever shell text):
#   RELEASE_REPOSITORY  owner/name on GitHub          RELEASE_VERSION     the release's tag
#   RELEASE_ASSET       the zip's name                RELEASE_FOLDER      where it is wanted
#   EXPECTED_SHA256     64 hex digits, or empty       VERIFY_ATTESTATION  true or false
# Out: RELEASE_FOLDER/RELEASE_ASSET and, written last, RELEASE_FOLDER/verified.sha256.
# Never: a file under its final name that was not checked; half a download left behind.
set -euo pipefail

fail() {
  printf 'fetch-release: %s\n' "$*" >&2
  exit 1
}

for name in RELEASE_REPOSITORY RELEASE_VERSION RELEASE_ASSET RELEASE_FOLDER; do
  [[ -n ${!name:-} ]] || fail "$name is not set; this script is run by the Terraform module"
done

command -v gh >/dev/null ||
  fail 'the GitHub CLI (gh) is not on PATH. lambda_artifact.release_version downloads with it: install gh, or use lambda_artifact.lambda_zip_path'
command -v sha256sum >/dev/null ||
  fail 'sha256sum is not on PATH. Linux has it; on macOS, "brew install coreutils" brings it'

mkdir -p -- "$RELEASE_FOLDER"
work=$(mktemp -d -- "$RELEASE_FOLDER/fetch.XXXXXX")
trap 'rm -rf -- "$work"' EXIT

gh release download "$RELEASE_VERSION" --repo "$RELEASE_REPOSITORY" --dir "$work" \
  --pattern "$RELEASE_ASSET" --pattern checksums.txt >&2 ||
  fail "gh could not download release $RELEASE_VERSION of $RELEASE_REPOSITORY. Check lambda_artifact.release_version, release_repository, \`gh auth status\` and that GH_HOST, where it is set, names the server that has it"
for file in "$RELEASE_ASSET" checksums.txt; do
  [[ -s $work/$file ]] || fail "release $RELEASE_VERSION of $RELEASE_REPOSITORY has no $file. Check lambda_artifact.release_version and architecture"
done

# The one line that speaks of this zip: other lines speak of files that were not downloaded.
awk -v name="$RELEASE_ASSET" '$2 == name || $2 == "*" name' "$work/checksums.txt" >"$work/verified.sha256"
[[ $(wc -l <"$work/verified.sha256") -eq 1 ]] ||
  fail "checksums.txt of release $RELEASE_VERSION does not name $RELEASE_ASSET exactly once"
(cd -- "$work" && sha256sum --check --strict verified.sha256 >&2) ||
  fail "$RELEASE_ASSET does not match checksums.txt of release $RELEASE_VERSION. Nothing was deployed"

if [[ -n ${EXPECTED_SHA256:-} ]]; then
  (cd -- "$work" && printf '%s  %s\n' "$EXPECTED_SHA256" "$RELEASE_ASSET" | sha256sum --check --strict >&2) ||
    fail "$RELEASE_ASSET of release $RELEASE_VERSION does not hash to lambda_artifact.sha256. Nothing was deployed"
fi

# The repository alone would do for a signature of any of its workflows, on any branch: only the release's own, for this very
# tag, says that this is the release.
if [[ ${VERIFY_ATTESTATION:-false} == true ]]; then
  gh attestation verify "$work/$RELEASE_ASSET" --repo "$RELEASE_REPOSITORY" \
    --signer-workflow "$RELEASE_REPOSITORY/.github/workflows/release.yml" --source-ref "refs/tags/$RELEASE_VERSION" >&2 ||
    fail "no valid attestation that release.yml of $RELEASE_REPOSITORY built $RELEASE_ASSET from $RELEASE_VERSION (needs gh 2.67 or newer). Nothing was deployed"
fi

# A zip holds the names of its entries uncompressed.
LC_ALL=C grep -aq bootstrap "$work/$RELEASE_ASSET" ||
  fail "$RELEASE_ASSET of release $RELEASE_VERSION holds no executable named bootstrap. Nothing was deployed"

mv -f -- "$work/$RELEASE_ASSET" "$RELEASE_FOLDER/$RELEASE_ASSET"
mv -f -- "$work/verified.sha256" "$RELEASE_FOLDER/verified.sha256"
