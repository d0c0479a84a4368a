# A broker and its three SSM parameters. Terraform passes the private key to SSM and stores it nowhere: it is an ephemeral variable and a
# write-only argument, so neither the plan nor the state contains it.
#
# This requires Terraform or OpenTofu 1.11 and AWS provider 5.88. With an older tool, do not use the plain argument `value`, which the
# state keeps in clear text. Remove `aws_ssm_parameter.private_key` and its two variables, and store the key by hand:
#
#     aws ssm put-parameter --type SecureString --key-id KEY_ARN \
#       --name /github-token-broker/app/private-key-pem --value file://key.pem
#
# Apply with the key in the environment: `TF_VAR_private_key_pem="$(cat key.pem)" terraform apply`. To rotate the key, provide the new one
# and increase `private_key_version` by one.

provider "aws" {
  region = var.region
}

resource "aws_ssm_parameter" "client_id" {
  #checkov:skip=CKV2_AWS_34:The client ID is not a secret; GitHub shows it to everyone.
  #checkov:skip=CKV_AWS_337:The client ID is not a secret.
  name  = "/github-token-broker/app/client-id"
  type  = "String"
  value = var.client_id
}

resource "aws_ssm_parameter" "installation_id" {
  #checkov:skip=CKV2_AWS_34:The installation ID is not a secret.
  #checkov:skip=CKV_AWS_337:The installation ID is not a secret.
  name  = "/github-token-broker/app/installation-id"
  type  = "String"
  value = var.installation_id
}

resource "aws_ssm_parameter" "private_key" {
  #checkov:skip=CKV_AWS_337:The key is an input: kms_key_arn.
  name             = "/github-token-broker/app/private-key-pem"
  type             = "SecureString"
  key_id           = var.kms_key_arn
  value_wo         = var.private_key_pem
  value_wo_version = var.private_key_version
}

module "broker" {
  source = "../.." # outside this repository: github.com/meigma/github-token-broker//terraform?ref=v1.1.0

  function_name    = "github-token-broker"
  repository_owner = var.repository_owner
  repository_name  = var.repository_name
  kms_key_arn      = var.kms_key_arn

  ssm_parameter_paths = {
    client_id       = aws_ssm_parameter.client_id.name
    installation_id = aws_ssm_parameter.installation_id.name
    private_key     = aws_ssm_parameter.private_key.name
  }

  lambda_artifact = {
    release_version = "v1.1.0"
  }
}
