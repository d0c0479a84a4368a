variable "region" {
  description = "AWS region of the brokers."
  type        = string
  default     = "us-east-1"
}

variable "brokers" {
  description = "The brokers by name: repository, permissions and callers."
  type = map(object({
    repository_owner  = string
    repository_name   = string
    permissions       = optional(map(string), { contents = "read" })
    invoker_role_arns = optional(map(string), {})
  }))
  default = {
    app  = { repository_owner = "your-org", repository_name = "your-app" }
    docs = { repository_owner = "your-org", repository_name = "your-docs", permissions = { contents = "write" } }
  }
}

variable "signing_key_arns" {
  description = "ARNs of the KMS keys that hold the App's private key. If empty, the brokers read it from SSM."
  type        = list(string)
  default     = []
}
