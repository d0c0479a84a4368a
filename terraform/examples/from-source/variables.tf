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

variable "lambda_zip_path" {
  description = "Path of the zip, such as `../../../dist/github-token-broker.zip`."
  type        = string
}

variable "architecture" {
  description = "Processor that the zip was built for: `arm64` or `x86_64`."
  type        = string
  default     = "arm64"
}
