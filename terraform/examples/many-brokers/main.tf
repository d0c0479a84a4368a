# A map of brokers that share one App and its key: one function for each repository and scope. Each has its own role, log group and
# callers. With `signing_key_arns`, all of them sign with the same KMS key; otherwise they read the same SSM parameters.

provider "aws" {
  region = var.region
}

module "broker" {
  for_each = var.brokers

  source = "../.." # outside this repository: github.com/meigma/github-token-broker//terraform?ref=v1.1.0

  function_name     = "github-token-broker-${each.key}"
  repository_owner  = each.value.repository_owner
  repository_name   = each.value.repository_name
  permissions       = each.value.permissions
  invoker_role_arns = each.value.invoker_role_arns
  signing_key_arns  = var.signing_key_arns

  lambda_artifact = {
    release_version = "v1.1.0"
  }
}
