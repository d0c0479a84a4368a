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

variable "vpc_id" {
  description = "ID of the VPC."
  type        = string
}

variable "subnet_ids" {
  description = "IDs of private subnets, in at least two availability zones."
  type        = set(string)
}

variable "proxy_host" {
  description = "Host of the proxy for all calls to GitHub, if there is one."
  type        = string
  default     = null
}

variable "proxy_port" {
  description = "Port of the proxy, if there is one."
  type        = number
  default     = null
}

variable "layers" {
  description = "ARNs of Lambda layer versions, such as one with a bundle of root certificates."
  type        = list(string)
  default     = []
}

variable "ca_certificates_path" {
  description = "Path of that bundle in the function, such as `/opt/ca.pem`. It must also contain the roots for the AWS endpoints."
  type        = string
  default     = null
}
