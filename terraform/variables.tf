# Every input, and the rules that follow from one input alone. Rules that need two inputs, or a file, are preconditions of the
# function (main.tf), because Terraform before 1.9 allows no second variable in a validation.
#
# Older releases evaluate both sides of `&&` and `||`, so a null is handled by `? :`, and a value of unknown shape by `can`.
# A value that ends up in a shell's environment, a URL or an ARN must match a pattern as a whole (`^...$`).

variable "function_name" {
  description = "Name of the function. Its role has the same name, its policy is `<function_name>-policy`, its log group `/aws/lambda/<function_name>`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,64}$", var.function_name))
    error_message = "function_name must be 1 to 64 letters, digits, hyphens or underscores."
  }
}

variable "repository_owner" {
  description = "Owner (user or organization) of the one repository that tokens are for."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+$", var.repository_owner)) && !contains([".", ".."], var.repository_owner)
    error_message = "repository_owner must be a GitHub login: letters, digits, hyphens, underscores and dots."
  }
}

variable "repository_name" {
  description = "Name of the repository, without its owner."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+$", var.repository_name)) && !contains([".", ".."], var.repository_name)
    error_message = "repository_name must be a repository's name without its owner: letters, digits, hyphens, underscores and dots."
  }
}

variable "repository_id" {
  description = "GitHub's numeric ID of the repository. If set, the broker requests and proves tokens by this ID, so a repository that is re-created under the same name gets no token."
  type        = string
  default     = null

  validation {
    condition     = var.repository_id == null ? true : can(regex("^[1-9][0-9]{0,18}$", var.repository_id))
    error_message = "repository_id must be GitHub's numeric repository ID, a positive whole number."
  }
}

variable "lambda_artifact" {
  description = "The function's zip. Set exactly one of `release_version` (the tag of a release, which the module downloads with `gh`), `lambda_zip_path` (a local file) and `lambda_source_s3` (an S3 object). `sha256` (64 hex digits) pins the zip's content in every mode. `verify_attestation` requires that `gh attestation verify` confirms that the repository's `release.yml` built a downloaded release from this tag."
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
    error_message = "lambda_artifact.release_version must name one release, such as v1.1.0, because \"latest\" changes over time."
  }

  validation {
    condition     = var.lambda_artifact.lambda_zip_path == null ? true : can(regex("\\S", var.lambda_artifact.lambda_zip_path))
    error_message = "lambda_artifact.lambda_zip_path must not be blank."
  }

  validation {
    condition     = var.lambda_artifact.lambda_source_s3 == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.lambda_artifact.lambda_source_s3.bucket))
    error_message = "lambda_artifact.lambda_source_s3.bucket must be an S3 bucket's name: 3 to 63 lowercase letters, digits, dots and hyphens."
  }

  validation {
    condition     = var.lambda_artifact.lambda_source_s3 == null ? true : can(regex("^[A-Za-z0-9!_.*'()/+=@:,-]+$", var.lambda_artifact.lambda_source_s3.key))
    error_message = "lambda_artifact.lambda_source_s3.key must be an S3 object's key without spaces, double quotes, dollar signs or control characters."
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
    error_message = "lambda_artifact.verify_attestation requires release_version: only a downloaded release has an attestation."
  }
}

variable "release_repository" {
  description = "GitHub repository (`owner/name`) that the module downloads `lambda_artifact.release_version` from."
  type        = string
  default     = "meigma/github-token-broker"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9_.-]+$", var.release_repository)) && !can(regex("/[.]{1,2}$", var.release_repository))
    error_message = "release_repository must be a GitHub repository, written as owner/name."
  }
}

variable "permissions" {
  description = "Permissions of every token: GitHub's permission names, each with `read`, `write` or `admin`. The App's installation must have them."
  type        = map(string)
  default     = { contents = "read" }
  nullable    = false

  validation {
    condition     = length(var.permissions) > 0
    error_message = "permissions must request at least one permission: for an empty set, GitHub grants everything that the App has."
  }

  # GitHub adds permissions, so an unknown name is allowed if it consists of the characters that GitHub uses.
  validation {
    condition     = alltrue([for name in keys(var.permissions) : can(regex("^[a-z][a-z0-9_]*$", name))])
    error_message = "permissions must use GitHub's names: lowercase letters, digits and underscores, such as pull_requests."
  }

  validation {
    condition     = alltrue([for level in values(var.permissions) : can(regex("^(read|write|admin)$", level))])
    error_message = "permissions must each be \"read\", \"write\" or \"admin\"."
  }
}

variable "client_id" {
  description = "The App's client ID (or numeric App ID) itself. Replaces the SSM parameter `ssm_parameter_paths.client_id`."
  type        = string
  default     = null

  validation {
    condition     = var.client_id == null ? true : can(regex("^[A-Za-z0-9._-]{1,64}$", var.client_id))
    error_message = "client_id must be the App's client ID, such as Iv23liAbCdEfGhIjKlMn, or its numeric App ID: 1 to 64 letters, digits, dots, hyphens or underscores. A private key or a token must not be here."
  }
}

variable "installation_id" {
  description = "The ID of the App's installation itself. Replaces the SSM parameter `ssm_parameter_paths.installation_id`."
  type        = string
  default     = null

  validation {
    condition     = var.installation_id == null ? true : can(regex("^[1-9][0-9]{0,18}$", var.installation_id))
    error_message = "installation_id must be a positive whole number: the number at the end of the installation's URL on GitHub."
  }
}

variable "signing_key_arns" {
  description = "ARNs of KMS keys (`RSA_2048`, `SIGN_VERIFY`) that hold the App's private key. The function signs with the first one and is allowed to sign with all of them, so a rotation never interrupts service. Replaces the SSM parameter `ssm_parameter_paths.private_key`. `[]` is the same as null: sign with the private key in SSM."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.signing_key_arns : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "signing_key_arns must be key ARNs (arn:aws:kms:REGION:ACCOUNT:key/ID). An alias ARN grants nothing: IAM compares kms:Sign with the ARN of the key itself. Get it with: aws kms describe-key --key-id ALIAS --query KeyMetadata.Arn"
  }

  validation {
    condition     = length(distinct(var.signing_key_arns)) == length(var.signing_key_arns)
    error_message = "signing_key_arns must not contain the same key twice."
  }
}

variable "ssm_parameter_paths" {
  description = "Names of the SSM parameters that the function reads on each invocation. Defaults: `/github-token-broker/app/client-id`, `/github-token-broker/app/installation-id` and `/github-token-broker/app/private-key-pem`, which must be a `SecureString`. A private key under `/aws/reference/secretsmanager/` is a secret in Secrets Manager and requires `private_key_secret_arn`."
  type = object({
    client_id       = optional(string)
    installation_id = optional(string)
    private_key     = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for path in values(var.ssm_parameter_paths) : path == null ? true : can(regex("^/[A-Za-z0-9_./-]+$", path))])
    error_message = "ssm_parameter_paths must be absolute, literal parameter names: a slash, then letters, digits, dots, hyphens, underscores and slashes. A wildcard does not name a parameter."
  }

  validation {
    condition     = alltrue([for path in [var.ssm_parameter_paths.client_id, var.ssm_parameter_paths.installation_id] : path == null ? true : !startswith(path, "/aws/reference/")])
    error_message = "ssm_parameter_paths.client_id and ssm_parameter_paths.installation_id must be parameters: only private_key can refer to a secret in Secrets Manager."
  }
}

variable "kms_key_arn" {
  description = "ARN of the customer managed KMS key that encrypts the private key's parameter (or its secret in Secrets Manager). Not needed for the key `aws/ssm`. This key does not sign; see `signing_key_arns`."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null ? true : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be a key ARN (arn:aws:kms:REGION:ACCOUNT:key/ID). An alias ARN grants nothing: IAM compares kms:Decrypt with the ARN of the key itself."
  }
}

variable "private_key_secret_arn" {
  description = "ARN of the Secrets Manager secret that holds the private key, if `ssm_parameter_paths.private_key` is `/aws/reference/secretsmanager/NAME`. The role is allowed to read this secret."
  type        = string
  default     = null

  validation {
    condition     = var.private_key_secret_arn == null ? true : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$", var.private_key_secret_arn))
    error_message = "private_key_secret_arn must be the full ARN of a secret, with the six characters that AWS appends to its name (arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-AbCdEf)."
  }
}

variable "github_api_base_url" {
  description = "Base URL of GitHub's REST API, for GitHub Enterprise Server (`https://HOST/api/v3`) or data residency (`https://api.NAME.ghe.com`). The function's default is `https://api.github.com`."
  type        = string
  default     = null

  # A port is 1 to 65535.
  validation {
    condition = var.github_api_base_url == null ? true : anytrue([
      can(regex("^https://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+\\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[A-Za-z0-9._~/-]*)?$", var.github_api_base_url)),
      can(regex("^http://(localhost|127(\\.[0-9]{1,3}){3}|\\[::1\\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?(/[A-Za-z0-9._~/-]*)?$", var.github_api_base_url)),
    ])
    error_message = "github_api_base_url must be an absolute https URL without user info, query or fragment, such as https://ghe.example.com/api/v3. A port must be 1 to 65535; http is allowed for a loopback host only."
  }
}

variable "log_level" {
  description = "Lowest level that the function logs: `debug`, `info`, `warn` or `error`. If unset, the function uses Lambda's log level, or `info`. `debug` requires `log_format = \"Text\"`: in `JSON`, Lambda drops lines below `INFO`."
  type        = string
  default     = null

  validation {
    condition     = var.log_level == null ? true : can(regex("^(debug|info|warn|error)$", var.log_level))
    error_message = "log_level must be debug, info, warn or error."
  }
}

variable "log_format" {
  description = "Lambda's log format: `Text` or `JSON`. The broker's own lines are JSON in both. With `JSON`, Lambda filters them by level and drops lines below `INFO`."
  type        = string
  default     = "Text"
  nullable    = false

  validation {
    condition     = can(regex("^(Text|JSON)$", var.log_format))
    error_message = "log_format must be Text or JSON."
  }
}

variable "log_retention_days" {
  description = "Days that CloudWatch keeps the logs; 0 means that they never expire."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition = contains(
      [0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.log_retention_days,
    )
    error_message = "log_retention_days must be 0 (never expire) or a period that CloudWatch Logs supports: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "log_group_kms_key_arn" {
  description = "ARN of the KMS key that encrypts the log group. The key's policy must allow CloudWatch Logs to use it."
  type        = string
  default     = null

  validation {
    condition     = var.log_group_kms_key_arn == null ? true : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.log_group_kms_key_arn))
    error_message = "log_group_kms_key_arn must be a key ARN (arn:aws:kms:REGION:ACCOUNT:key/ID), not an alias ARN."
  }
}

variable "metrics_namespace" {
  description = "CloudWatch namespace for the broker's own metrics. If unset, there are no metrics, unless `alarm_actions` or `dashboard` need them: then the namespace is `GitHubTokenBroker`."
  type        = string
  default     = null

  validation {
    condition     = var.metrics_namespace == null ? true : can(regex("^[A-Za-z0-9._/#-][A-Za-z0-9._/#:-]{0,254}$", var.metrics_namespace)) && !can(regex("^AWS/", var.metrics_namespace))
    error_message = "metrics_namespace must be 1 to 255 letters, digits and ._/#:- characters. It must not start with a colon, or with AWS/, which is reserved for AWS services."
  }
}

variable "alarm_actions" {
  description = "ARNs, such as SNS topics, that alarms notify. If set, the module creates alarms on function errors (except rejected payloads), throttles, unproven tokens, the age of the private key in SSM and GitHub's rate limit."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_actions : can(regex("^arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{0,12}:[A-Za-z0-9_:/.+=,@-]+$", arn))])
    error_message = "alarm_actions must be ARNs, without wildcards."
  }
}

variable "alarm_thresholds" {
  description = "When two of the alarms trigger: the private key in SSM is at least `private_key_age_days` old; GitHub reports at most `github_rate_limit_remaining` requests left in the current hour."
  type = object({
    private_key_age_days        = optional(number, 365)
    github_rate_limit_remaining = optional(number, 500)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for threshold in values(var.alarm_thresholds) : threshold >= 1 && floor(threshold) == threshold])
    error_message = "alarm_thresholds must be whole numbers, 1 or more."
  }
}

variable "cloudtrail_log_group_name" {
  description = "Name of the CloudWatch log group that CloudTrail's management events are sent to. If set, an alarm triggers when a principal outside `signing_role_arns` signs with one of the `signing_key_arns`. Requires `signing_key_arns` and `alarm_actions`."
  type        = string
  default     = null

  validation {
    condition     = var.cloudtrail_log_group_name == null ? true : can(regex("^[A-Za-z0-9_./#-]{1,512}$", var.cloudtrail_log_group_name))
    error_message = "cloudtrail_log_group_name must be the name (not the ARN) of a log group: 1 to 512 letters, digits and _./#- characters."
  }
}

variable "signing_role_arns" {
  description = "ARNs of the roles that are expected to sign with the `signing_key_arns`, for the alarm of `cloudtrail_log_group_name`. Default: this broker's role. Brokers that share a key each need the whole list."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.signing_role_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$", arn))])
    error_message = "signing_role_arns must be IAM role ARNs (arn:aws:iam::ACCOUNT:role/NAME), without wildcards."
  }
}

variable "dashboard" {
  description = "Create a CloudWatch dashboard with the function's name: mints, failures by type, latency, key age, GitHub's rate limit and the latest errors."
  type        = bool
  default     = false
  nullable    = false
}

variable "invoker_role_arns" {
  description = "IAM roles that are allowed to invoke the function: a name of your choice for each, and its ARN. Each role gets one statement in the function's resource policy. The names must be known at plan time; the ARNs can be those of roles that the same apply creates."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.invoker_role_arns) : can(regex("^[A-Za-z0-9_-]{1,90}$", name))])
    error_message = "invoker_role_arns must have names of 1 to 90 letters, digits, hyphens or underscores as keys, such as { ci = \"arn:aws:iam::123456789012:role/ci\" }."
  }

  validation {
    condition     = alltrue([for arn in values(var.invoker_role_arns) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$", arn))])
    error_message = "invoker_role_arns must be IAM role ARNs (arn:aws:iam::ACCOUNT:role/NAME), without wildcards."
  }

  validation {
    condition     = length(distinct(values(var.invoker_role_arns))) == length(var.invoker_role_arns)
    error_message = "invoker_role_arns must not contain the same role twice."
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

variable "vpc_config" {
  description = "Subnets and security groups to run the function in. The subnets need a route to GitHub, and to SSM and KMS if the function uses them. The role is allowed to manage the network interfaces."
  type = object({
    subnet_ids                  = set(string)
    security_group_ids          = set(string)
    ipv6_allowed_for_dual_stack = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.vpc_config == null ? true : length(var.vpc_config.subnet_ids) > 0 && length(var.vpc_config.security_group_ids) > 0
    error_message = "vpc_config must have at least one subnet and one security group."
  }

  validation {
    condition = var.vpc_config == null ? true : alltrue(concat(
      [for id in var.vpc_config.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))],
      [for id in var.vpc_config.security_group_ids : can(regex("^sg-[0-9a-f]+$", id))],
    ))
    error_message = "vpc_config must have subnet IDs (subnet-0123abcd) and security group IDs (sg-0123abcd)."
  }
}

variable "https_proxy" {
  description = "`http://` URL of the proxy for all calls to GitHub, SSM and KMS, set as `HTTPS_PROXY`. A password in it is visible to anyone who can read the function's configuration or the Terraform state."
  type        = string
  default     = null

  validation {
    condition     = var.https_proxy == null ? true : can(regex("^http://([A-Za-z0-9._~!$&'()*+,;=%-]+(:[A-Za-z0-9._~!$&'()*+,;=%-]*)?@)?([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+\\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?/?$", var.https_proxy))
    error_message = "https_proxy must be an http URL without a path, such as http://proxy.example.com:3128. Percent-encode special characters in a password; a port must be 1 to 65535."
  }
}

variable "no_proxy" {
  description = "Hosts that the function reaches without `https_proxy`, separated by commas, set as `NO_PROXY`. An entry can be a host, `host:port`, `.example.com` or `*.example.com`."
  type        = string
  default     = null

  validation {
    condition     = var.no_proxy == null ? true : alltrue([for entry in split(",", var.no_proxy) : can(regex("^([A-Za-z0-9.*_-]+(:[0-9]{1,5})?|\\[[0-9A-Fa-f:.]+\\](:[0-9]{1,5})?|[0-9A-Fa-f.:]+/[0-9]{1,3})$", trimspace(entry)))])
    error_message = "no_proxy must be hosts separated by commas, such as ssm.us-east-1.amazonaws.com,.example.com."
  }
}

variable "ca_certificates_path" {
  description = "Path of a PEM file in the function's file system, such as `/opt/ca.pem` from one of the `layers`, set as `SSL_CERT_FILE`. The file replaces the built-in root certificates, so it must also contain the roots for the AWS endpoints (and for github.com, if used)."
  type        = string
  default     = null

  validation {
    condition     = var.ca_certificates_path == null ? true : can(regex("^(/[A-Za-z0-9._-]+)+$", var.ca_certificates_path))
    error_message = "ca_certificates_path must be an absolute path in the function's file system, such as /opt/ca.pem."
  }
}

variable "layers" {
  description = "ARNs of Lambda layer versions, at most five. Lambda extracts their files to `/opt`."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.layers) <= 5 && alltrue([for arn in var.layers : can(regex("^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:layer:[A-Za-z0-9_-]+:[1-9][0-9]*$", arn))])
    error_message = "layers must be at most five ARNs of layer versions (arn:aws:lambda:REGION:ACCOUNT:layer:NAME:VERSION)."
  }
}

variable "tracing_mode" {
  description = "X-Ray tracing of invocations: `Active` or `PassThrough`. If set, the role is allowed to send traces to X-Ray."
  type        = string
  default     = null

  validation {
    condition     = var.tracing_mode == null ? true : can(regex("^(Active|PassThrough)$", var.tracing_mode))
    error_message = "tracing_mode must be Active or PassThrough."
  }
}

variable "reserved_concurrent_executions" {
  description = "Concurrent executions reserved for the function, which is also its limit; 0 stops the function. If unset, it shares the account's limit."
  type        = number
  default     = null

  validation {
    condition     = var.reserved_concurrent_executions == null ? true : try(var.reserved_concurrent_executions >= 0 && floor(var.reserved_concurrent_executions) == var.reserved_concurrent_executions, false)
    error_message = "reserved_concurrent_executions must be a whole number, 0 or more."
  }
}

variable "architecture" {
  description = "Processor that the function runs on: `arm64` or `x86_64`. The zip must be built for it."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = can(regex("^(arm64|x86_64)$", var.architecture))
    error_message = "architecture must be arm64 or x86_64."
  }
}

variable "memory_size" {
  description = "Memory of the function in MB. Its share of a CPU is proportional to it."
  type        = number
  default     = 128
  nullable    = false

  validation {
    condition     = var.memory_size >= 128 && var.memory_size <= 10240 && floor(var.memory_size) == var.memory_size
    error_message = "memory_size must be a whole number from 128 to 10240 (MB)."
  }
}

variable "timeout" {
  description = "Seconds after which Lambda ends an invocation. The broker returns its result or an error before that."
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
  description = "Tags for every resource that supports them."
  type        = map(string)
  default     = {}
  nullable    = false
}
