# Who the function is and what it may do; who may invoke it. The policies are written out whole, so that a reader and a
# test see exactly what is granted. The only wildcard is the `:*` after the log group's ARN, which stands for its streams.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  region    = data.aws_region.current.id # `name` is deprecated in version 6 of the provider, `region` is not in version 5

  log_group_name = "/aws/lambda/${var.function_name}"
  log_group_arn  = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${local.log_group_name}"

  # A parameter's name starts with a slash, so none stands between `parameter` and it.
  parameter_arns = { for name, path in var.ssm_parameter_paths : name => "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter${path}" }
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

  depends_on = [terraform_data.release]
}

resource "aws_iam_role_policy" "lambda" {
  name = "${var.function_name}-policy"
  role = aws_iam_role.lambda.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for statement in [
      {
        Sid    = "ReadAppCredentials"
        Effect = "Allow"
        Action = ["ssm:GetParameters"]
        Resource = [
          local.parameter_arns.client_id,
          local.parameter_arns.installation_id,
          local.parameter_arns.private_key,
        ]
      },
      # SSM decrypts with the caller's permissions and names the parameter in the encryption context.
      var.kms_key_arn == null ? null : {
        Sid      = "DecryptPrivateKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = [var.kms_key_arn]
        Condition = {
          StringEquals = {
            "kms:ViaService"                      = "ssm.${local.region}.${data.aws_partition.current.dns_suffix}"
            "kms:EncryptionContext:PARAMETER_ARN" = local.parameter_arns.private_key
          }
        }
      },
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${local.log_group_arn}:*"]
      },
    ] : statement if statement != null]
  })
}

# By position, not by ARN: a role made in the same apply has no ARN yet when the plan is drawn.
resource "aws_lambda_permission" "invoker" {
  count = length(var.invoker_role_arns)

  statement_id  = "invoker-${count.index}"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.broker.function_name
  principal     = var.invoker_role_arns[count.index]
}
