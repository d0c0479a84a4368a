# One App, two brokers: CI reads, and the release job writes. Each function has its own role, log group and callers. No caller can
# request more than its broker is configured for.

provider "aws" {
  region = var.region
}

locals {
  artifact = { release_version = "v1.1.0" }
}

module "read" {
  source = "../.." # outside this repository: github.com/meigma/github-token-broker//terraform?ref=v1.1.0

  function_name     = "github-token-broker-read"
  repository_owner  = var.repository_owner
  repository_name   = var.repository_name
  permissions       = { contents = "read" }
  invoker_role_arns = var.reader_role_arns
  lambda_artifact   = local.artifact
}

module "write" {
  source = "../.." # outside this repository: github.com/meigma/github-token-broker//terraform?ref=v1.1.0

  function_name     = "github-token-broker-write"
  repository_owner  = var.repository_owner
  repository_name   = var.repository_name
  permissions       = { contents = "write", pull_requests = "write" }
  invoker_role_arns = var.writer_role_arns
  lambda_artifact   = local.artifact
}
