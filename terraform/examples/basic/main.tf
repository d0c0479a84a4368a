# The least that a broker needs: one repository, read access, a released zip. The three SSM parameters exist already
# (docs: "Deploy your first broker", step 1).

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

module "broker" {
  source = "../.." # outside this repository: github.com/meigma/github-token-broker//terraform?ref=v1.1.0

  function_name    = "github-token-broker"
  repository_owner = "your-org"
  repository_name  = "your-repo"

  lambda_artifact = {
    release_version = "v1.1.0"
  }
}

output "function_name" {
  value = module.broker.function_name
}
