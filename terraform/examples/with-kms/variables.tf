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
