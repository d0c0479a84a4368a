# Where the function's zip comes from: in, `lambda_artifact`; out, the function's code arguments and the hash of the content.
# Nothing here may let a zip through that was not checked.
#
# A release is downloaded by scripts/fetch-release.sh, as a provisioner, before anything is created; see `terraform_data.release`.
# Three things must hold at once: the first plan runs before there is a file; a plan on the machine that has the file shows no
# change; a plan on another machine (fresh checkout, the state there already) fetches again and changes nothing in AWS.
#
# Terraform 1.13 and later refuse a file function that answers differently in plan and apply. So the state of the download is
# asked once, in a local that is evaluated before the download (`filesha256`, `file`), and the fetched file is read only
# through an attribute that is unknown while a download is pending (`filebase64sha256`): no question is ever asked twice.

locals {
  is_release = var.lambda_artifact.release_version != null
  is_local   = var.lambda_artifact.lambda_zip_path != null
  is_s3      = var.lambda_artifact.lambda_source_s3 != null

  # Everything that decides which bytes are downloaded and how they are checked.
  release = {
    repository         = var.release_repository
    version            = var.lambda_artifact.release_version
    asset              = var.architecture == "arm64" ? "github-token-broker.zip" : "github-token-broker-${var.architecture}.zip"
    sha256             = var.lambda_artifact.sha256 == null ? "" : lower(var.lambda_artifact.sha256)
    verify_attestation = var.lambda_artifact.verify_attestation
  }
  release_key = jsonencode(local.release)

  # Below the root module's .terraform, which every checkout ignores; a folder of its own for each download.
  release_folder = "${path.root}/.terraform/github-token-broker/${substr(sha256(local.release_key), 0, 16)}"
  release_zip    = "${local.release_folder}/${local.release.asset}"

  # True when an earlier download is there and still is what its checksum says; a damaged one counts as absent.
  release_is_here = try(
    strcontains(file("${local.release_folder}/verified.sha256"), filesha256(local.release_zip)),
    false,
  )
}

# The download. It has no life in AWS: its replacement means "fetch once more", and happens only where the file is missing.
#
# `timestamp()` is unknown until apply, so a missing file makes `triggers_replace` unknown, which plans a replacement; once
# applied, it is the same text as ever (`substr` leaves nothing of the time), so that no later plan sees a difference.
resource "terraform_data" "release" {
  count = local.is_release ? 1 : 0

  triggers_replace = local.release_is_here ? local.release_key : "${local.release_key}${substr(timestamp(), 0, 0)}"
  input            = local.release_zip

  # Every input goes through the environment; the script's path is an argument of bash, not a piece of shell text.
  provisioner "local-exec" {
    interpreter = ["bash"]
    command     = "${path.module}/scripts/fetch-release.sh"

    environment = {
      RELEASE_REPOSITORY = local.release.repository
      RELEASE_VERSION    = local.release.version
      RELEASE_ASSET      = local.release.asset
      RELEASE_FOLDER     = local.release_folder
      EXPECTED_SHA256    = local.release.sha256
      VERIFY_ATTESTATION = tostring(local.release.verify_attestation)
    }
  }
}

locals {
  # The zip on this machine, if there is one. For a release it is known only after the download.
  zip = local.is_release ? one(terraform_data.release[*].output) : var.lambda_artifact.lambda_zip_path

  # Lambda speaks of hashes in base64, sha256sum in hex: every three hex digits are two base64 digits, and a 64-digit hash
  # is padded to 66, whose last base64 digit is the "=" of the padding.
  base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  expected_hash = var.lambda_artifact.sha256 == null ? null : join("", [
    trimsuffix(join("", [
      for group in regexall("...", "${var.lambda_artifact.sha256}00") : join("", [
        substr(local.base64_digits, floor(parseint(group, 16) / 64), 1),
        substr(local.base64_digits, parseint(group, 16) % 64, 1),
      ])
    ]), "A"), "=",
  ])

  # The hash of the real content, wherever it can be known: what was pinned (and is checked), or what the file hashes to.
  # In S3 without a pinned hash nobody knows it here; `version_id` then is what tells one content from another.
  source_code_hash = local.expected_hash != null ? local.expected_hash : local.is_s3 ? null : try(filebase64sha256(local.zip), null)

  # Outcomes of the plan-time look into a local zip (main.tf turns them into messages); "" where there is no file.
  # `try`: a zip that is gone must not stand in the way of `destroy`, which evaluates this too.
  local_zip_base64 = local.is_local ? try(filebase64(var.lambda_artifact.lambda_zip_path), "") : ""

  # A zip holds its entries' names uncompressed. These are the three ways "bootstrap" looks in base64, by its offset modulo 3.
  local_zip_has_bootstrap = anytrue([
    for text in ["Ym9vdHN0cmFw", "Jvb3RzdHJhc", "ib290c3RyYX"] : strcontains(local.local_zip_base64, text)
  ])
}
