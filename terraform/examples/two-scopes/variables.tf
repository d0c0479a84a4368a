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

variable "reader_role_arns" {
  description = "Roles that are allowed to get a token that reads, such as `{ ci = \"arn:aws:iam::123456789012:role/ci\" }`."
  type        = map(string)
  default     = {}
}

variable "writer_role_arns" {
  description = "Roles that are allowed to get a token that writes."
  type        = map(string)
  default     = {}
}
