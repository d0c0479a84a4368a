# One App, two brokers: CI may read, the release job may write. Each function has its own role, its own log group and its
# own callers, and no caller can ask for more than its broker was deployed with.

terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }
  }
}

provider "aws" {
  region = "us-east-1"
}

variable "ci_role_arn" {
  description = "ARN of the role that CI runs as."
  type        = string
}

variable "release_role_arn" {
  description = "ARN of the role that the release job runs as."
  type        = string
}

locals {
  artifact = { release_version = "v1.1.0" }
}

module "read" {
  source = "../.." # outside this repository: github.com/meigma/github-token-broker//terraform?ref=v1.1.0

  function_name     = "github-token-broker-read"
  repository_owner  = "your-org"
  repository_name   = "your-repo"
  permissions       = { contents = "read" }
  invoker_role_arns = [var.ci_role_arn]
  lambda_artifact   = local.artifact
}

module "write" {
  source = "../.."

  function_name     = "github-token-broker-write"
  repository_owner  = "your-org"
  repository_name   = "your-repo"
  permissions       = { contents = "write", pull_requests = "write" }
  invoker_role_arns = [var.release_role_arn]
  lambda_artifact   = local.artifact
}

output "function_names" {
  value = {
    read  = module.read.function_name
    write = module.write.function_name
  }
}
