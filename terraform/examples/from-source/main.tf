# A broker from a zip that you built: `make package ARCH=arm64` in this repository writes `dist/github-token-broker.zip`. This is how to
# deploy the repository without a release. The App's three SSM parameters must exist.

provider "aws" {
  region = var.region
}

module "broker" {
  source = "../.." # outside this repository: github.com/meigma/github-token-broker//terraform?ref=v1.1.0

  function_name    = "github-token-broker"
  repository_owner = var.repository_owner
  repository_name  = var.repository_name
  architecture     = var.architecture

  lambda_artifact = {
    lambda_zip_path = var.lambda_zip_path
  }
}
