output "function_names" {
  description = "Names of the two functions."
  value = {
    read  = module.read.function_name
    write = module.write.function_name
  }
}
