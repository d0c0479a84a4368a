# The function's zip. Input: `lambda_artifact`. Output: the function's code arguments and the hash of the zip's content.
# Invariant: no zip reaches Lambda unchecked, neither now nor at a later apply.
#
# scripts/fetch-release.sh downloads a release, as a provisioner, before the module creates anything; see `terraform_data.release`.
# Three things must hold at once: the first plan runs before the file exists; a plan on the machine that has the file is empty; a
# plan on another machine (a fresh checkout with an existing state) downloads again and changes nothing in AWS.
#
# Terraform 1.13 and later reject a file function that returns one result in the plan and another one in the apply. So the state of
# the download is read once, by a local that is evaluated before the download (`filesha256`, `file`), and the downloaded file is read
# only through an attribute that is unknown while a download is pending (`filebase64sha256`).

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

  # Below the root module's .terraform, which every checkout ignores; a separate folder for each download.
  release_folder = "${path.root}/.terraform/github-token-broker/${substr(sha256(local.release_key), 0, 16)}"
  release_zip    = "${local.release_folder}/${local.release.asset}"

  # True if an earlier download still matches the checksum that was verified and, if there is one, the pinned hash. The pin counts
  # on its own: anyone who can replace the zip here can replace the checksum file next to it.
  release_is_here = try(
    strcontains(lower(file("${local.release_folder}/verified.sha256")), filesha256(local.release_zip))
    && contains(["", filesha256(local.release_zip)], local.release.sha256),
    false,
  )
}

# The download. It is not a resource in AWS: its replacement means "download again", and happens only if the file is missing.
#
# `timestamp()` is unknown until apply, so a missing file makes `triggers_replace` unknown, which plans a replacement. After the
# apply it is the same text as before (`substr` keeps nothing of the time), so no later plan sees a difference.
resource "terraform_data" "release" {
  count = local.is_release ? 1 : 0

  triggers_replace = local.release_is_here ? local.release_key : "${local.release_key}${substr(timestamp(), 0, 0)}"
  input            = local.release_zip

  # Every input is passed in the environment; the script's path is an argument of bash, not part of a shell command.
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

# With a pinned hash, the object in S3 is checked before Lambda uses it: S3 keeps the SHA-256 of an object that was uploaded
# with one. The function's postcondition then compares what Lambda has read, in case the object was replaced in between.
data "aws_s3_object" "zip" {
  count = local.is_s3 && var.lambda_artifact.sha256 != null ? 1 : 0

  bucket        = var.lambda_artifact.lambda_source_s3.bucket
  key           = var.lambda_artifact.lambda_source_s3.key
  version_id    = var.lambda_artifact.lambda_source_s3.version_id
  checksum_mode = "ENABLED"

  lifecycle {
    # An object that was uploaded in parts has a checksum of checksums, which ends with the number of parts.
    postcondition {
      condition     = self.checksum_sha256 == null ? false : can(regex("^[A-Za-z0-9+/]{43}=$", self.checksum_sha256))
      error_message = "s3://${self.bucket}/${self.key} cannot be compared with lambda_artifact.sha256: S3 has no SHA-256 checksum of the whole object. Upload it with: aws s3api put-object --checksum-algorithm SHA256 --bucket ${self.bucket} --key ${self.key} --body FILE"
    }

    postcondition {
      condition     = can(regex("^[A-Za-z0-9+/]{43}=$", self.checksum_sha256)) ? self.checksum_sha256 == local.expected_hash : true
      error_message = "s3://${self.bucket}/${self.key} does not match lambda_artifact.sha256. The function was not changed. Correct sha256, or name the right object by key or version_id."
    }
  }
}

locals {
  # The zip on this machine, if there is one. The path of a release's zip is known only after the download.
  zip = local.is_release ? one(terraform_data.release[*].output) : var.lambda_artifact.lambda_zip_path

  # Lambda writes hashes in base64, sha256sum in hex. Three hex digits are two base64 digits; a hash of 64 hex digits is padded to
  # 66, and the last base64 digit becomes the "=" of the padding.
  base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  expected_hash = var.lambda_artifact.sha256 == null ? null : join("", [
    trimsuffix(join("", [
      for group in regexall("...", "${var.lambda_artifact.sha256}00") : join("", [
        substr(local.base64_digits, floor(parseint(group, 16) / 64), 1),
        substr(local.base64_digits, parseint(group, 16) % 64, 1),
      ])
    ]), "A"), "=",
  ])

  # The hash of the content, if it can be known: the pinned one (which is checked), or that of the file. For an object in S3 without
  # a pinned hash it is null; a new `version_id` then means new content.
  source_code_hash = local.expected_hash != null ? local.expected_hash : local.is_s3 ? null : try(filebase64sha256(local.zip), null)
}
