# A broker and its three SSM parameters, under a key of their own. The private key goes to SSM and nowhere else: it is an
# ephemeral variable, handed over as a write-only argument, so neither the plan nor the state holds it.
#
# That needs Terraform >= 1.11 (OpenTofu >= 1.11) and AWS provider >= 5.88. With an older tool, do not write the key into a
# plain `value`, which the state keeps in clear: leave `aws_ssm_parameter.private_key` and the variable out, and put the
# parameter by hand:
#
#   aws ssm put-parameter --type SecureString --key-id KEY_ARN \
#     --name /github-token-broker/app/private-key-pem --value file://key.pem
#
# Apply with the key from the environment:  TF_VAR_private_key_pem="$(cat key.pem)" terraform apply
# To rotate it, give the new key and raise `private_key_version` by one.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.88, < 7.0"
    }
  }
}

provider "aws" {
  region = "us-east-1"
}

variable "client_id" {
  description = "Client ID of the GitHub App, such as Iv23li..."
  type        = string
}

variable "installation_id" {
  description = "ID of the App's installation on the repository's owner."
  type        = string
}

variable "private_key_pem" {
  description = "The App's private key, as GitHub's .pem file holds it."
  type        = string
  ephemeral   = true
  sensitive   = true
}

variable "private_key_version" {
  description = "Raise it by one whenever private_key_pem changes: nothing else tells that it did."
  type        = number
  default     = 1
}

variable "kms_key_arn" {
  description = "ARN of the customer-managed KMS key that encrypts the private key's parameter."
  type        = string
}

resource "aws_ssm_parameter" "client_id" {
  #checkov:skip=CKV2_AWS_34:The client ID is no secret; GitHub shows it to everyone.
  #checkov:skip=CKV_AWS_337:As above.
  name  = "/github-token-broker/app/client-id"
  type  = "String"
  value = var.client_id
}

resource "aws_ssm_parameter" "installation_id" {
  #checkov:skip=CKV2_AWS_34:The installation ID is no secret.
  #checkov:skip=CKV_AWS_337:As above.
  name  = "/github-token-broker/app/installation-id"
  type  = "String"
  value = var.installation_id
}

resource "aws_ssm_parameter" "private_key" {
  name             = "/github-token-broker/app/private-key-pem"
  type             = "SecureString"
  key_id           = var.kms_key_arn
  value_wo         = var.private_key_pem
  value_wo_version = var.private_key_version
}

module "broker" {
  source = "../.." # outside this repository: github.com/meigma/github-token-broker//terraform?ref=v1.1.0

  function_name    = "github-token-broker"
  repository_owner = "your-org"
  repository_name  = "your-repo"
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

output "function_name" {
  value = module.broker.function_name
}
