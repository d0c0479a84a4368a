output "function_name" {
  description = "Name of the function, for `aws lambda invoke`."
  value       = module.broker.function_name
}
