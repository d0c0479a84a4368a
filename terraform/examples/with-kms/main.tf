# A broker whose private key never leaves KMS, and whose role reads no parameter. Terraform creates the KMS key without key material. You
# import the App's private key with the AWS CLI, so neither Terraform nor its state ever contains it: see "Sign with KMS" in the book.
# Until the import, the function fails with `SigningKeyUnusable`.
#
# To rotate, create a second key next to the first one, import the new private key into it, and change `signing_key_arns` in three
# applies: `[old, new]`; a few minutes later, `[new, old]`; after the old key was deleted on GitHub, `[new]`.

provider "aws" {
  region = var.region
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  function_name = "github-token-broker"

  account  = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"
  role_arn = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:role/${local.function_name}"
}

# A key that only the broker's role can sign with. The account's administrators manage it, and import the key material, through IAM. They
# can change this policy, too; an alarm on foreign signatures is the module's input cloudtrail_log_group_name.
resource "aws_kms_external_key" "app" {
  description             = "Private key of the GitHub App behind ${local.function_name}"
  key_spec                = "RSA_2048"
  key_usage               = "SIGN_VERIFY"
  deletion_window_in_days = 30

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Administer"
        Effect    = "Allow"
        Principal = { AWS = local.account }
        Action = [
          "kms:CancelKeyDeletion",
          "kms:DeleteImportedKeyMaterial",
          "kms:DescribeKey",
          "kms:DisableKey",
          "kms:EnableKey",
          "kms:GetKeyPolicy",
          "kms:GetKeyRotationStatus",
          "kms:GetParametersForImport",
          "kms:GetPublicKey",
          "kms:ImportKeyMaterial",
          "kms:ListResourceTags",
          "kms:PutKeyPolicy",
          "kms:ScheduleKeyDeletion",
          "kms:TagResource",
          "kms:UntagResource",
          "kms:UpdateKeyDescription",
        ]
        Resource = "*"
      },
      {
        Sid       = "SignAppJwt"
        Effect    = "Allow"
        Principal = { AWS = local.account }
        Action    = "kms:Sign"
        Resource  = "*"
        Condition = {
          ArnEquals = { "aws:PrincipalArn" = local.role_arn }
          StringEquals = {
            "kms:SigningAlgorithm" = "RSASSA_PKCS1_V1_5_SHA_256"
            "kms:MessageType"      = "RAW"
          }
        }
      },
    ]
  })
}

module "broker" {
  source = "../.." # outside this repository: github.com/meigma/github-token-broker//terraform?ref=v1.1.0

  function_name    = local.function_name
  repository_owner = var.repository_owner
  repository_name  = var.repository_name

  client_id        = var.client_id
  installation_id  = var.installation_id
  signing_key_arns = [aws_kms_external_key.app.arn]

  lambda_artifact = {
    release_version = "v1.1.0"
  }
}
