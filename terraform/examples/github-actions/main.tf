# A broker that a GitHub Actions workflow invokes without a stored secret. The workflow assumes an AWS role with its OIDC token, and the
# role is allowed to invoke the function and nothing else.
#
# The trust policy compares the token's subject. Repositories that were created, renamed or transferred since 2026-07-15 have a subject
# with IDs (`repo:ORG@ORG_ID/REPO@REPO_ID:ref:REF`); older ones have only names (`repo:ORG/REPO:ref:REF`), unless they opted in. Choose
# the form that your repository uses with `subject_form`. A subject with names also matches a repository that someone else creates under a
# name that you gave up, so use `both` only during a migration. To see the subject, decode the token's payload in a workflow run.
#
# The workflow:
#
#     permissions:
#       id-token: write
#     steps:
#       - uses: aws-actions/configure-aws-credentials@v5
#         with:
#           role-to-assume: ROLE_ARN # the output role_arn
#           aws-region: us-east-1
#       - run: aws lambda invoke --function-name github-token-broker --payload null --cli-binary-format raw-in-base64-out token.json

provider "aws" {
  region = var.region
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  issuer       = "token.actions.githubusercontent.com"
  provider_arn = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:oidc-provider/${local.issuer}"

  subjects = {
    ids   = "repo:${var.workflow.owner}@${var.workflow.owner_id}/${var.workflow.repository}@${var.workflow.repository_id}:ref:${var.workflow.ref}"
    names = "repo:${var.workflow.owner}/${var.workflow.repository}:ref:${var.workflow.ref}"
  }
}

# An account has at most one provider for an issuer.
resource "aws_iam_openid_connect_provider" "github" {
  count = var.create_oidc_provider ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "workflow" {
  name        = "github-token-broker-workflow"
  description = "Role of the GitHub Actions workflow that invokes github-token-broker"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = local.provider_arn }
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = var.subject_form == "both" ? values(local.subjects) : [local.subjects[var.subject_form]]
        }
      }
    }]
  })

  depends_on = [aws_iam_openid_connect_provider.github]
}

module "broker" {
  source = "../.." # outside this repository: github.com/meigma/github-token-broker//terraform?ref=v1.1.0

  function_name     = "github-token-broker"
  repository_owner  = var.repository_owner
  repository_name   = var.repository_name
  invoker_role_arns = { workflow = aws_iam_role.workflow.arn }

  lambda_artifact = {
    release_version = "v1.1.0"
  }
}
