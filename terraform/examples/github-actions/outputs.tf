output "function_name" {
  description = "Name of the function, for `aws lambda invoke`."
  value       = module.broker.function_name
}

output "role_arn" {
  description = "ARN of the role that the workflow assumes."
  value       = aws_iam_role.workflow.arn
}
