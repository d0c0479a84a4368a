output "function_name" {
  description = "Name of the function, for `aws lambda invoke`."
  value       = module.broker.function_name
}

output "signing_key_arn" {
  description = "ARN of the KMS key to import the App's private key into."
  value       = aws_kms_external_key.app.arn
}
