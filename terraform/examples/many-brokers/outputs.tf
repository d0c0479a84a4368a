output "function_names" {
  description = "Names of the functions by broker."
  value       = { for name, broker in module.broker : name => broker.function_name }
}
