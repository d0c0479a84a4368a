# Every input, and the rules that can be told from the input alone. Rules that need two inputs or a file are preconditions
# of the function (main.tf). No validation relies on `||` or `&&` to stop early: older releases evaluate both sides, so a
# null is told apart by `? :`, and a value that may not fit is asked with `can`.
#
# Whatever ends in a shell's environment, a URL or an ARN is matched whole (`^...$`) against the characters that belong there.

variable "function_name" {
  description = "Name of the function. Its role has the same name, its policy `<function_name>-policy`, its log group `/aws/lambda/<function_name>`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,64}$", var.function_name))
    error_message = "function_name must be 1 to 64 letters, digits, hyphens or underscores."
  }
}

variable "repository_owner" {
  description = "Owner (user or organisation) of the one repository that tokens are for."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+$", var.repository_owner)) && !contains([".", ".."], var.repository_owner)
    error_message = "repository_owner must be a GitHub login: letters, digits, hyphens, underscores and dots."
  }
}

variable "repository_name" {
  description = "Name of that repository, without its owner."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+$", var.repository_name)) && !contains([".", ".."], var.repository_name)
    error_message = "repository_name must be a repository's name without its owner: letters, digits, hyphens, underscores and dots."
  }
}

variable "repository_id" {
  description = "GitHub's numeric ID of the repository. When set, tokens are asked for and proven by this ID, so a repository re-created under an old name gets nothing."
  type        = string
  default     = null

  validation {
    condition     = var.repository_id == null ? true : can(regex("^[1-9][0-9]{0,18}$", var.repository_id))
    error_message = "repository_id must be GitHub's numeric repository ID, a positive whole number."
  }
}

variable "lambda_artifact" {
  description = "Where the function's zip comes from: exactly one of `release_version` (a release's tag, downloaded with `gh`), `lambda_zip_path` (a file) or `lambda_source_s3` (an object's `bucket`, `key` and, optionally, `version_id`). `sha256` (64 hex digits) is what the zip must hash to, in every mode. `verify_attestation` lets a downloaded release through only when `gh attestation verify` finds that the repository's `release.yml` built it from this very tag."
  type = object({
    release_version = optional(string)
    lambda_zip_path = optional(string)
    lambda_source_s3 = optional(object({
      bucket     = string
      key        = string
      version_id = optional(string)
    }))
    sha256             = optional(string)
    verify_attestation = optional(bool, false)
  })
  nullable = false

  validation {
    condition = length([
      for source in [
        var.lambda_artifact.release_version != null,
        var.lambda_artifact.lambda_zip_path != null,
        var.lambda_artifact.lambda_source_s3 != null,
      ] : source if source
    ]) == 1
    error_message = "lambda_artifact must set exactly one of release_version, lambda_zip_path and lambda_source_s3."
  }

  validation {
    condition     = var.lambda_artifact.release_version == null ? true : can(regex("^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$", var.lambda_artifact.release_version))
    error_message = "lambda_artifact.release_version must be a release's tag such as v1.1.0: letters, digits, dots, hyphens, underscores and plus signs."
  }

  validation {
    condition     = var.lambda_artifact.release_version == null ? true : lower(var.lambda_artifact.release_version) != "latest"
    error_message = "lambda_artifact.release_version must name one release, such as v1.1.0; \"latest\" moves."
  }

  validation {
    condition     = var.lambda_artifact.lambda_zip_path == null ? true : can(regex("\\S", var.lambda_artifact.lambda_zip_path))
    error_message = "lambda_artifact.lambda_zip_path must not be blank."
  }

  validation {
    condition     = var.lambda_artifact.lambda_source_s3 == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.lambda_artifact.lambda_source_s3.bucket))
    error_message = "lambda_artifact.lambda_source_s3.bucket must be an S3 bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens."
  }

  validation {
    condition     = var.lambda_artifact.lambda_source_s3 == null ? true : can(regex("^[A-Za-z0-9!_.*'()/+=@:,-]+$", var.lambda_artifact.lambda_source_s3.key))
    error_message = "lambda_artifact.lambda_source_s3.key must be an S3 object's key without blanks, quotes, dollar signs or control characters."
  }

  validation {
    condition     = try(var.lambda_artifact.lambda_source_s3.version_id, null) == null ? true : can(regex("^[A-Za-z0-9._-]+$", var.lambda_artifact.lambda_source_s3.version_id))
    error_message = "lambda_artifact.lambda_source_s3.version_id must be an S3 object's version ID."
  }

  validation {
    condition     = var.lambda_artifact.sha256 == null ? true : can(regex("^[0-9a-fA-F]{64}$", var.lambda_artifact.sha256))
    error_message = "lambda_artifact.sha256 must be 64 hex digits, as sha256sum prints them."
  }

  validation {
    condition     = var.lambda_artifact.verify_attestation ? var.lambda_artifact.release_version != null : true
    error_message = "lambda_artifact.verify_attestation needs release_version: only a downloaded release carries an attestation."
  }
}

variable "release_repository" {
  description = "GitHub repository (`owner/name`) that `lambda_artifact.release_version` is downloaded from."
  type        = string
  default     = "meigma/github-token-broker"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_.-]+$", var.release_repository)) && !can(regex("/[.]{1,2}$", var.release_repository))
    error_message = "release_repository must be a GitHub repository written as owner/name."
  }
}

variable "permissions" {
  description = "Permissions of every token, GitHub's names to `read`, `write` or `admin`. The App must have been granted them."
  type        = map(string)
  default     = { contents = "read" }
  nullable    = false

  validation {
    condition     = length(var.permissions) > 0
    error_message = "permissions must request at least one permission: GitHub would read an empty set as \"everything the App has\"."
  }

  # GitHub adds names, so an unknown one passes; one that is not made of GitHub's characters cannot be meant.
  validation {
    condition     = alltrue([for name in keys(var.permissions) : can(regex("^[a-z][a-z0-9_]*$", name))])
    error_message = "permissions must be named as GitHub names them: lower-case letters, digits and underscores, such as pull_requests."
  }

  validation {
    condition     = alltrue([for level in values(var.permissions) : can(regex("^(read|write|admin)$", level))])
    error_message = "permissions must each be \"read\", \"write\" or \"admin\"."
  }
}

variable "ssm_parameter_paths" {
  description = "SSM parameters that the function reads at each invocation: `client_id` (`/github-token-broker/app/client-id` unless given), `installation_id` (`/github-token-broker/app/installation-id`) and `private_key` (`/github-token-broker/app/private-key-pem`, a `SecureString`)."
  type = object({
    client_id       = optional(string, "/github-token-broker/app/client-id")
    installation_id = optional(string, "/github-token-broker/app/installation-id")
    private_key     = optional(string, "/github-token-broker/app/private-key-pem")
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for path in values(var.ssm_parameter_paths) : can(regex("^/[A-Za-z0-9_./-]+$", path))])
    error_message = "ssm_parameter_paths must be absolute, literal parameter names: a slash, then letters, digits, dots, hyphens, underscores and slashes. Wildcards are not parameters."
  }

  validation {
    condition     = length(distinct(values(var.ssm_parameter_paths))) == 3
    error_message = "ssm_parameter_paths must name three different parameters."
  }
}

variable "kms_key_arn" {
  description = "ARN of the customer-managed KMS key that encrypts the private key's parameter. Left out, the parameter is expected under `aws/ssm`, which needs no grant."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null ? true : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be a key's ARN (arn:aws:kms:REGION:ACCOUNT:key/ID). An alias's ARN is refused: IAM ignores it for kms:Decrypt."
  }
}

variable "github_api_base_url" {
  description = "Base URL of GitHub's REST API, for GitHub Enterprise Server (`https://HOST/api/v3`) or data residency (`https://api.NAME.ghe.com`). Left out, the function uses `https://api.github.com`."
  type        = string
  default     = null

  validation {
    condition = var.github_api_base_url == null ? true : anytrue([
      can(regex("^https://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$", var.github_api_base_url)),
      can(regex("^http://(localhost|127(\\.[0-9]{1,3}){3}|\\[::1\\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$", var.github_api_base_url)),
    ])
    error_message = "github_api_base_url must be an absolute https URL without user info, query or fragment (http only for a loopback host)."
  }
}

variable "log_level" {
  description = "Least level that is logged: `debug`, `info`, `warn` or `error`. Left out, the function logs `info`, or what Lambda's own log level says. `debug` shows with `log_format` `Text` only: in `JSON`, Lambda drops what is below `INFO`."
  type        = string
  default     = null

  validation {
    condition     = var.log_level == null ? true : can(regex("^(debug|info|warn|error)$", var.log_level))
    error_message = "log_level must be debug, info, warn or error."
  }
}

variable "log_format" {
  description = "Lambda's log format: `Text` or `JSON`. The broker's own lines are JSON in both; `JSON` lets Lambda filter them by level: from `INFO` up, since the module sets no level of Lambda's."
  type        = string
  default     = "Text"
  nullable    = false

  validation {
    condition     = can(regex("^(Text|JSON)$", var.log_format))
    error_message = "log_format must be Text or JSON."
  }
}

variable "log_retention_days" {
  description = "Days that CloudWatch keeps the logs; 0 = never expire."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition = contains(
      [0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.log_retention_days,
    )
    error_message = "log_retention_days must be 0 (never expire) or a period that CloudWatch Logs offers: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "log_group_kms_key_arn" {
  description = "ARN of the KMS key that encrypts the log group. The key's policy must let CloudWatch Logs use it."
  type        = string
  default     = null

  validation {
    condition     = var.log_group_kms_key_arn == null ? true : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.log_group_kms_key_arn))
    error_message = "log_group_kms_key_arn must be a key's ARN (arn:aws:kms:REGION:ACCOUNT:key/ID), not an alias's."
  }
}

variable "metrics_namespace" {
  description = "CloudWatch namespace for the broker's metrics (embedded metric format in its log). Left out, there are none."
  type        = string
  default     = null

  validation {
    condition     = var.metrics_namespace == null ? true : can(regex("^[A-Za-z0-9._/#-][A-Za-z0-9._/#:-]{0,254}$", var.metrics_namespace)) && !can(regex("^AWS/", var.metrics_namespace))
    error_message = "metrics_namespace must be 1 to 255 letters, digits and ._/#:- characters, and must not start with a colon or with AWS/, which is Amazon's own."
  }
}

variable "alarm_actions" {
  description = "ARNs (SNS topics, for instance) that alarms notify. When set, there is an alarm on errors and one on throttles; with `metrics_namespace`, also one on tokens that could not be proven narrow."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_actions : can(regex("^arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{0,12}:[A-Za-z0-9_:/.+=,@-]+$", arn))])
    error_message = "alarm_actions must be ARNs, without wildcards."
  }
}

variable "invoker_role_arns" {
  description = "ARNs of IAM roles that may invoke the function. Each gets one statement in the function's resource policy, and nothing more."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.invoker_role_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$", arn))])
    error_message = "invoker_role_arns must be IAM roles' ARNs (arn:aws:iam::ACCOUNT:role/NAME), without wildcards."
  }

  validation {
    condition     = length(distinct(var.invoker_role_arns)) == length(var.invoker_role_arns)
    error_message = "invoker_role_arns must not name a role twice."
  }
}

variable "permissions_boundary_arn" {
  description = "ARN of the managed policy that is the permissions boundary of the function's role."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null ? true : can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9_+=,.@/-]+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be a managed policy's ARN (arn:aws:iam::ACCOUNT:policy/NAME)."
  }
}

variable "reserved_concurrent_executions" {
  description = "Concurrent executions reserved for the function, which is also its limit; 0 stops it. Left out, it shares the account's."
  type        = number
  default     = null

  validation {
    condition     = var.reserved_concurrent_executions == null ? true : try(var.reserved_concurrent_executions >= 0 && floor(var.reserved_concurrent_executions) == var.reserved_concurrent_executions, false)
    error_message = "reserved_concurrent_executions must be a whole number, 0 or more."
  }
}

variable "architecture" {
  description = "Processor that the function runs on, `arm64` or `x86_64`; the zip must be built for it."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = can(regex("^(arm64|x86_64)$", var.architecture))
    error_message = "architecture must be arm64 or x86_64."
  }
}

variable "memory_size" {
  description = "Memory of the function in MB; its share of a processor grows with it."
  type        = number
  default     = 128
  nullable    = false

  validation {
    condition     = var.memory_size >= 128 && var.memory_size <= 10240 && floor(var.memory_size) == var.memory_size
    error_message = "memory_size must be a whole number from 128 to 10240 (MB)."
  }
}

variable "timeout" {
  description = "Seconds after which Lambda ends an invocation. The broker answers before that."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.timeout >= 1 && var.timeout <= 900 && floor(var.timeout) == var.timeout
    error_message = "timeout must be a whole number from 1 to 900 (seconds)."
  }
}

variable "description" {
  description = "Description of the function."
  type        = string
  default     = "Mints a GitHub App installation token for one repository"
  nullable    = false

  validation {
    condition     = length(var.description) <= 256
    error_message = "description must be at most 256 characters."
  }
}

variable "tags" {
  description = "Tags for everything that can carry them."
  type        = map(string)
  default     = {}
  nullable    = false
}
