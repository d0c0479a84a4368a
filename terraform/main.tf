# The function and its log group. In: the inputs and the checked artifact; out: one broker. Everything waits for the
# download (`depends_on`), so that a release that cannot be fetched or does not match leaves nothing half-created.

resource "aws_lambda_function" "broker" {
  function_name = var.function_name
  description   = var.description
  role          = aws_iam_role.lambda.arn

  runtime       = "provided.al2023"
  handler       = "bootstrap"
  architectures = [var.architecture]
  memory_size   = var.memory_size
  timeout       = var.timeout

  filename          = local.is_release ? local.release_zip : var.lambda_artifact.lambda_zip_path
  s3_bucket         = try(var.lambda_artifact.lambda_source_s3.bucket, null)
  s3_key            = try(var.lambda_artifact.lambda_source_s3.key, null)
  s3_object_version = try(var.lambda_artifact.lambda_source_s3.version_id, null)
  source_code_hash  = local.source_code_hash

  reserved_concurrent_executions = var.reserved_concurrent_executions

  environment {
    variables = local.environment
  }

  logging_config {
    log_format = var.log_format
    log_group  = aws_cloudwatch_log_group.lambda.name
  }

  tags = var.tags

  # The role's policy first: a function without it answers its first callers with AccessDenied.
  depends_on = [terraform_data.release, aws_iam_role_policy.lambda]

  lifecycle {
    precondition {
      condition     = local.is_local ? local.local_zip_base64 != "" : true
      error_message = "lambda_artifact.lambda_zip_path names no file that can be read: ${coalesce(var.lambda_artifact.lambda_zip_path, "-")}"
    }

    precondition {
      condition     = local.is_local && local.local_zip_base64 != "" ? startswith(local.local_zip_base64, "UEsDB") && local.local_zip_has_bootstrap : true
      error_message = "lambda_artifact.lambda_zip_path is not a zip that holds an executable named bootstrap: ${coalesce(var.lambda_artifact.lambda_zip_path, "-")}"
    }

    precondition {
      condition     = local.is_local && local.local_zip_base64 != "" && local.expected_hash != null ? try(filebase64sha256(var.lambda_artifact.lambda_zip_path), "") == local.expected_hash : true
      error_message = "lambda_artifact.lambda_zip_path does not hash to lambda_artifact.sha256: ${coalesce(var.lambda_artifact.lambda_zip_path, "-")}"
    }

    # S3 hands the content to Lambda directly, so the first to know its hash is Lambda; until it matches, nobody is let in
    # (what depends on the function waits). While a change of the code is only planned, the provider shows the old
    # `code_sha256`; `last_modified` is unknown then, which puts the question off until the answer is the new one.
    postcondition {
      condition     = local.is_s3 && local.expected_hash != null ? substr("${self.code_sha256}${self.last_modified}", 0, 44) == local.expected_hash : true
      error_message = "The object of lambda_artifact.lambda_source_s3 does not hash to lambda_artifact.sha256, and the function runs it now. Correct sha256, or name the right object by another key or version_id, and apply again."
    }
  }
}

locals {
  # Only what was given: a variable that is not here leaves the function's own default in force. The three parameters are
  # always named, because the role's policy (iam.tf) allows exactly these.
  environment = { for name, value in {
    GITHUB_TOKEN_BROKER_REPOSITORY_OWNER      = var.repository_owner
    GITHUB_TOKEN_BROKER_REPOSITORY_NAME       = var.repository_name
    GITHUB_TOKEN_BROKER_REPOSITORY_ID         = var.repository_id
    GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM       = var.ssm_parameter_paths.client_id
    GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM = var.ssm_parameter_paths.installation_id
    GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM     = var.ssm_parameter_paths.private_key
    GITHUB_TOKEN_BROKER_PERMISSIONS           = jsonencode(var.permissions)
    GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL   = var.github_api_base_url
    GITHUB_TOKEN_BROKER_LOG_LEVEL             = var.log_level
    GITHUB_TOKEN_BROKER_METRICS_NAMESPACE     = var.metrics_namespace
  } : name => value if value != null }
}

# Made before the function, so that Lambda never creates it on its own, without retention and outside the state.
resource "aws_cloudwatch_log_group" "lambda" {
  name              = local.log_group_name
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_group_kms_key_arn
  tags              = var.tags

  depends_on = [terraform_data.release]
}
