# What callers of the module use.

output "function_arn" {
  description = "ARN of the function."
  value       = aws_lambda_function.broker.arn
}

output "function_name" {
  description = "Name of the function, for `aws lambda invoke`."
  value       = aws_lambda_function.broker.function_name
}

output "function_invoke_arn" {
  description = "ARN that API Gateway uses to invoke the function."
  value       = aws_lambda_function.broker.invoke_arn
}

output "role_arn" {
  description = "ARN of the function's role."
  value       = aws_iam_role.lambda.arn
}

output "role_name" {
  description = "Name of the function's role."
  value       = aws_iam_role.lambda.name
}

output "log_group_name" {
  description = "Name of the function's log group."
  value       = aws_cloudwatch_log_group.lambda.name
}

output "deployed_version" {
  description = "The deployed version: the release's tag, `sha256:<base64>` of a local zip, or `s3://bucket/key` (with `?versionId=`, if set)."
  value = (
    local.is_release ? var.lambda_artifact.release_version
    : local.is_local ? "sha256:${coalesce(aws_lambda_function.broker.source_code_hash, "unknown")}"
    : format("s3://%s/%s%s",
      var.lambda_artifact.lambda_source_s3.bucket,
      var.lambda_artifact.lambda_source_s3.key,
      var.lambda_artifact.lambda_source_s3.version_id == null ? "" : "?versionId=${var.lambda_artifact.lambda_source_s3.version_id}",
    )
  )
}

output "invoke_policy_json" {
  description = "An IAM policy that allows invoking this function and nothing else, to attach to callers yourself."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "InvokeGitHubTokenBroker"
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = [aws_lambda_function.broker.arn]
    }]
  })
}
