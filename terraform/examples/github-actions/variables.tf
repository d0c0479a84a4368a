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

variable "workflow" {
  description = "The repository of the workflow, with GitHub's numeric IDs (`gh api repos/ORG/REPO --jq '.owner.id, .id'`), and the Git ref that it runs on."
  type = object({
    owner         = string
    owner_id      = string
    repository    = string
    repository_id = string
    ref           = optional(string, "refs/heads/main")
  })
  default = {
    owner         = "your-org"
    owner_id      = "12345678"
    repository    = "your-workflows"
    repository_id = "123456789"
  }

  validation {
    condition     = can(regex("^[1-9][0-9]*$", var.workflow.owner_id)) && can(regex("^[1-9][0-9]*$", var.workflow.repository_id))
    error_message = "workflow.owner_id and workflow.repository_id must be GitHub's numeric IDs."
  }

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+$", var.workflow.owner)) && can(regex("^[A-Za-z0-9_.-]+$", var.workflow.repository)) && can(regex("^refs/[A-Za-z0-9_./-]+$", var.workflow.ref))
    error_message = "workflow must name one owner, one repository and one ref (refs/heads/main), without wildcards."
  }
}

variable "subject_form" {
  description = "The form of the subject in the repository's OIDC tokens: `ids`, `names`, or `both` during a migration."
  type        = string
  default     = "ids"

  validation {
    condition     = contains(["ids", "names", "both"], var.subject_form)
    error_message = "subject_form must be ids, names or both."
  }
}

variable "create_oidc_provider" {
  description = "Create GitHub's OIDC provider. Set it to false if the account already has it."
  type        = bool
  default     = true
}
