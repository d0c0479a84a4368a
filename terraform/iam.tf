# The function's role, and the roles that are allowed to invoke the function.
#
# The policies are written out in full, so that a reader and a test see exactly what is granted. The wildcards are the `:*` after the
# log group's ARN, which stands for its streams, and the `*` of opt-in actions for which AWS supports no narrower resource.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  account    = data.aws_caller_identity.current.account_id
  region     = data.aws_region.current.id # version 6 of the provider deprecates `name`; version 5 has no `region`
  dns_suffix = data.aws_partition.current.dns_suffix

  log_group_name = "/aws/lambda/${var.function_name}"
  log_group_arn  = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${local.log_group_name}"

  # The ARN has no slash between `parameter` and the name, because the name starts with one.
  parameter_arns = { for name, path in local.parameters : name => "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter${path}" }
}

resource "aws_iam_role" "lambda" {
  name                 = var.function_name
  description          = "Role of the Lambda function ${var.function_name}"
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })

  depends_on = [terraform_data.release, data.aws_s3_object.zip]
}

resource "aws_iam_role_policy" "lambda" {
  name = "${var.function_name}-policy"
  role = aws_iam_role.lambda.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for statement in [
      length(local.parameter_arns) == 0 ? null : {
        Sid      = "ReadAppCredentials"
        Effect   = "Allow"
        Action   = ["ssm:GetParameters"]
        Resource = values(local.parameter_arns)
      },
      # SSM reads the secret with the caller's permissions.
      var.private_key_secret_arn == null ? null : {
        Sid      = "ReadPrivateKeySecret"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = [var.private_key_secret_arn]
      },
      # SSM and Secrets Manager decrypt with the caller's permissions, and name the parameter or secret in the encryption context.
      var.kms_key_arn == null || var.private_key_secret_arn != null || length(local.parameter_arns) == 0 ? null : {
        Sid      = "DecryptPrivateKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = [var.kms_key_arn]
        Condition = {
          StringEquals = {
            "kms:ViaService" = "ssm.${local.region}.${local.dns_suffix}"
            # If no private key is read, the key is that of the other parameters.
            "kms:EncryptionContext:PARAMETER_ARN" = try(local.parameter_arns.private_key, values(local.parameter_arns))
          }
        }
      },
      var.kms_key_arn == null || var.private_key_secret_arn == null ? null : {
        Sid      = "DecryptPrivateKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = [var.kms_key_arn]
        Condition = {
          StringEquals = {
            "kms:ViaService"                  = "secretsmanager.${local.region}.${local.dns_suffix}"
            "kms:EncryptionContext:SecretARN" = var.private_key_secret_arn
          }
        }
      },
      # Exactly the signature of a GitHub App's JWT.
      !local.signs_with_kms ? null : {
        Sid      = "SignAppJwt"
        Effect   = "Allow"
        Action   = ["kms:Sign"]
        Resource = var.signing_key_arns
        Condition = {
          StringEquals = {
            "kms:SigningAlgorithm" = "RSASSA_PKCS1_V1_5_SHA_256"
            "kms:MessageType"      = "RAW"
          }
        }
      },
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${local.log_group_arn}:*"]
      },
      # Lambda itself calls these. Requests from the function's code carry `lambda:SourceFunctionArn`, and are not allowed.
      var.vpc_config == null ? null : {
        Sid    = "ManageNetworkInterfaces"
        Effect = "Allow"
        Action = [
          "ec2:AssignPrivateIpAddresses",
          "ec2:CreateNetworkInterface",
          "ec2:DeleteNetworkInterface",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSubnets",
          "ec2:UnassignPrivateIpAddresses",
        ]
        Resource  = ["*"]
        Condition = { Null = { "lambda:SourceFunctionArn" = "true" } }
      },
      var.tracing_mode == null ? null : {
        Sid      = "WriteTraces"
        Effect   = "Allow"
        Action   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
        Resource = ["*"]
      },
    ] : statement if statement != null]
  })
}

resource "aws_lambda_permission" "invoker" {
  for_each = var.invoker_role_arns

  statement_id  = "invoker-${each.key}"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.broker.function_name
  principal     = each.value

  # A replaced function has lost its resource policy.
  lifecycle {
    replace_triggered_by = [aws_lambda_function.broker.arn]
  }
}
