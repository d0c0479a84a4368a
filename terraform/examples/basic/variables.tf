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
