# The smallest broker: one repository, read access, and the zip of a release. The App's three SSM parameters must exist; the tutorial
# "Deploy your first broker" creates them in its step 1.

provider "aws" {
  region = var.region
}

module "broker" {
  source = "../.." # outside this repository: github.com/meigma/github-token-broker//terraform?ref=v1.1.0

  function_name    = "github-token-broker"
  repository_owner = var.repository_owner
  repository_name  = var.repository_name

  lambda_artifact = {
    release_version = "v1.1.0"
  }
}
