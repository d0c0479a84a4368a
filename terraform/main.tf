# The function and its log group. Input: the inputs and the checked zip. Output: one broker.
# Everything waits for the download (`depends_on`), so that a release that cannot be downloaded or does not match leaves nothing
# half-created.

locals {
  signs_with_kms = length(var.signing_key_arns) > 0

  # The SSM parameters that the function reads: each that no input replaces.
  parameters = merge(
    var.client_id != null ? {} : { client_id = coalesce(var.ssm_parameter_paths.client_id, "/github-token-broker/app/client-id") },
    var.installation_id != null ? {} : { installation_id = coalesce(var.ssm_parameter_paths.installation_id, "/github-token-broker/app/installation-id") },
    local.signs_with_kms ? {} : { private_key = coalesce(var.ssm_parameter_paths.private_key, "/github-token-broker/app/private-key-pem") },
  )

  reads_secret = startswith(lookup(local.parameters, "private_key", ""), "/aws/reference/secretsmanager/")

  metrics_namespace = var.metrics_namespace != null ? var.metrics_namespace : length(var.alarm_actions) > 0 || var.dashboard ? "GitHubTokenBroker" : null

  # Only what is set: a variable that is missing here leaves the function's default in force. The parameters' names are always set,
  # because the role's policy (iam.tf) allows exactly these.
  environment = { for name, value in {
    GITHUB_TOKEN_BROKER_REPOSITORY_OWNER      = var.repository_owner
    GITHUB_TOKEN_BROKER_REPOSITORY_NAME       = var.repository_name
    GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM       = lookup(local.parameters, "client_id", null)
    GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM = lookup(local.parameters, "installation_id", null)
    GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM     = lookup(local.parameters, "private_key", null)
    GITHUB_TOKEN_BROKER_PERMISSIONS           = jsonencode(var.permissions)
    GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL   = var.github_api_base_url
    GITHUB_TOKEN_BROKER_LOG_LEVEL             = var.log_level
    GITHUB_TOKEN_BROKER_REPOSITORY_ID         = var.repository_id
    GITHUB_TOKEN_BROKER_METRICS_NAMESPACE     = local.metrics_namespace
    GITHUB_TOKEN_BROKER_CLIENT_ID             = var.client_id
    GITHUB_TOKEN_BROKER_INSTALLATION_ID       = var.installation_id
    GITHUB_TOKEN_BROKER_KMS_KEY_ID            = local.signs_with_kms ? var.signing_key_arns[0] : null
    HTTPS_PROXY                               = var.https_proxy
    NO_PROXY                                  = var.no_proxy
    SSL_CERT_FILE                             = var.ca_certificates_path
  } : name => value if value != null }
}

resource "aws_lambda_function" "broker" {
  function_name = var.function_name
  description   = var.description
  role          = aws_iam_role.lambda.arn

  runtime       = "provided.al2023"
  handler       = "bootstrap"
  architectures = [var.architecture]
  memory_size   = var.memory_size
  timeout       = var.timeout
  layers        = length(var.layers) == 0 ? null : var.layers

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

  dynamic "vpc_config" {
    for_each = var.vpc_config[*]

    content {
      subnet_ids                  = vpc_config.value.subnet_ids
      security_group_ids          = vpc_config.value.security_group_ids
      ipv6_allowed_for_dual_stack = vpc_config.value.ipv6_allowed_for_dual_stack
    }
  }

  # Always set, because the provider keeps the last mode if the block is removed. PassThrough is Lambda's default.
  tracing_config {
    mode = coalesce(var.tracing_mode, "PassThrough")
  }

  tags = var.tags

  # The role's policy comes first: without it, the function answers its first callers with AccessDenied.
  depends_on = [terraform_data.release, data.aws_s3_object.zip, aws_iam_role_policy.lambda]

  lifecycle {
    # --- Where the App's credentials come from ---

    precondition {
      condition     = var.client_id == null || var.ssm_parameter_paths.client_id == null
      error_message = "client_id and ssm_parameter_paths.client_id are both set. Remove one: the function takes the client ID from the input or from SSM."
    }

    precondition {
      condition     = var.installation_id == null || var.ssm_parameter_paths.installation_id == null
      error_message = "installation_id and ssm_parameter_paths.installation_id are both set. Remove one: the function takes the installation ID from the input or from SSM."
    }

    precondition {
      condition     = !local.signs_with_kms || var.ssm_parameter_paths.private_key == null
      error_message = "signing_key_arns and ssm_parameter_paths.private_key are both set. Remove one: the function signs with a KMS key or with the private key from SSM."
    }

    precondition {
      condition     = length(distinct(values(local.parameters))) == length(local.parameters)
      error_message = "ssm_parameter_paths names one parameter twice. Use a separate parameter for each of: ${join(", ", keys(local.parameters))}."
    }

    precondition {
      condition     = local.reads_secret ? var.private_key_secret_arn != null : true
      error_message = "ssm_parameter_paths.private_key refers to a secret in Secrets Manager, but private_key_secret_arn is not set. Set it to the secret's ARN, so that the role is allowed to read the secret."
    }

    precondition {
      condition     = var.private_key_secret_arn != null ? local.reads_secret : true
      error_message = "private_key_secret_arn is set, but the function does not read a secret. Set ssm_parameter_paths.private_key to /aws/reference/secretsmanager/NAME, or remove private_key_secret_arn."
    }

    precondition {
      condition     = var.private_key_secret_arn != null && local.reads_secret ? try(regex(":secret:(.+)-[A-Za-z0-9]{6}$", var.private_key_secret_arn)[0] == trimprefix(local.parameters.private_key, "/aws/reference/secretsmanager/"), true) : true
      error_message = "private_key_secret_arn and ssm_parameter_paths.private_key name different secrets. Use the ARN of the secret whose name follows /aws/reference/secretsmanager/."
    }

    # --- Inputs that need each other ---

    precondition {
      condition     = var.ca_certificates_path == null ? true : !startswith(var.ca_certificates_path, "/opt/") || length(var.layers) > 0
      error_message = "ca_certificates_path is in /opt, but layers is empty: the file does not exist in the function. Add the layer that contains the file to layers."
    }

    precondition {
      condition     = var.no_proxy == null || var.https_proxy != null
      error_message = "no_proxy is set without https_proxy. Set https_proxy, or remove no_proxy."
    }

    precondition {
      condition     = var.cloudtrail_log_group_name == null ? true : local.signs_with_kms && length(var.alarm_actions) > 0
      error_message = "cloudtrail_log_group_name requires signing_key_arns (the keys to watch) and alarm_actions (who is notified)."
    }

    precondition {
      condition     = length(var.signing_role_arns) == 0 || var.cloudtrail_log_group_name != null
      error_message = "signing_role_arns is set without cloudtrail_log_group_name, and has no effect. Set cloudtrail_log_group_name, or remove signing_role_arns."
    }

    # --- A local zip (zip.tf) ---

    precondition {
      condition     = local.is_local ? local.zip_base64 != "" : true
      error_message = "lambda_artifact.lambda_zip_path cannot be read, or is empty: ${coalesce(var.lambda_artifact.lambda_zip_path, "-")}"
    }

    precondition {
      condition     = local.zip_base64 != "" ? startswith(local.zip_base64, "UEsDB") : true
      error_message = "lambda_artifact.lambda_zip_path is not a zip file: ${coalesce(var.lambda_artifact.lambda_zip_path, "-")}"
    }

    precondition {
      condition     = startswith(local.zip_base64, "UEsDB") && local.zip_has_bootstrap != null ? local.zip_has_bootstrap : true
      error_message = "lambda_artifact.lambda_zip_path has no file named bootstrap at its top level: ${coalesce(var.lambda_artifact.lambda_zip_path, "-")}. Build the zip with `make package`, or download it from a release."
    }

    precondition {
      condition     = local.zip_is_executable != null ? local.zip_is_executable : true
      error_message = "lambda_artifact.lambda_zip_path contains a bootstrap that Lambda is not allowed to execute: ${coalesce(var.lambda_artifact.lambda_zip_path, "-")}. Set its mode with `chmod 755 bootstrap` before zipping, on Linux or macOS."
    }

    precondition {
      condition     = local.zip_architecture != null ? local.zip_architecture == var.architecture : true
      error_message = "lambda_artifact.lambda_zip_path contains a program for ${coalesce(local.zip_architecture, "-")}, but architecture is ${var.architecture}: ${coalesce(var.lambda_artifact.lambda_zip_path, "-")}. Change architecture, or use the zip for ${var.architecture}."
    }

    precondition {
      condition     = local.zip_base64 != "" && local.expected_hash != null ? try(filebase64sha256(var.lambda_artifact.lambda_zip_path), "") == local.expected_hash : true
      error_message = "lambda_artifact.lambda_zip_path does not match lambda_artifact.sha256: ${coalesce(var.lambda_artifact.lambda_zip_path, "-")}. Correct sha256, or use the right file."
    }

    # --- What Lambda runs ---

    # In every mode in which the hash is known, Lambda must run that content. While an update of the code is only planned, the provider
    # shows the old `code_sha256`; `last_modified` is unknown then, which defers the comparison until after the update.
    postcondition {
      condition     = local.source_code_hash == null ? true : substr("${self.code_sha256}${self.last_modified}", 0, 44) == local.source_code_hash
      error_message = "The code of the Lambda function ${var.function_name} is not the expected zip: its SHA-256 (base64) is ${coalesce(self.code_sha256, "unknown")}, expected ${coalesce(local.source_code_hash, "unknown")}. The function runs this code now. Find out who replaced the zip or the code, then deploy again: terraform apply -replace=ADDRESS, with the address of aws_lambda_function.broker."
    }
  }
}

# Created before the function. Otherwise Lambda would create it, without retention and outside the state.
resource "aws_cloudwatch_log_group" "lambda" {
  name              = local.log_group_name
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_group_kms_key_arn
  tags              = var.tags

  depends_on = [terraform_data.release, data.aws_s3_object.zip]
}
