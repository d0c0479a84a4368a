variable "region" {
  description = "AWS region of the broker."
  type        = string
  default     = "us-east-1"
}

variable "repository_owner" {
  description = "Owner of the repository that tokens are for."
  type        = string
  default     = "your-org"
}

variable "repository_name" {
  description = "Name of the repository that tokens are for."
  type        = string
  default     = "your-repo"
}

variable "client_id" {
  description = "Client ID of the GitHub App, such as `Iv23liAbCdEfGhIjKlMn`."
  type        = string
}

variable "installation_id" {
  description = "ID of the App's installation: the number at the end of its URL on GitHub."
  type        = string
}

variable "private_key_pem" {
  description = "The App's private key: the content of the .pem file from GitHub."
  type        = string
  ephemeral   = true
  sensitive   = true
}

variable "private_key_version" {
  description = "Increase it by one whenever `private_key_pem` changes: Terraform does not notice the change."
  type        = number
  default     = 1
}

variable "kms_key_arn" {
  description = "ARN of the customer managed KMS key that encrypts the private key's parameter. Without it, SSM uses the key `aws/ssm`."
  type        = string
  default     = null
}
