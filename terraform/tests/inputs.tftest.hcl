# Every validation, with values that must pass and values that must not. Each run is one kind of mistake, made in every
# input that it could be made in; `expect_failures` fails the run when one of them slips through.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
}

variables {
  function_name    = "broker"
  repository_owner = "your-org"
  repository_name  = "your-repo"
  lambda_artifact  = { lambda_source_s3 = { bucket = "zips", key = "broker.zip" } }
}

run "the_least_that_is_needed" {
  command = plan
}

run "everything_at_its_widest" {
  command = plan
  variables {
    function_name                  = "A-very_long-name-of-64-characters-0123456789-0123456789-01234567"
    repository_owner               = "Your.Org_1-x"
    repository_name                = "..your.repo_1-x.."
    repository_id                  = "9007199254740993"
    permissions                    = { contents = "write", pull_requests = "read", organization_hooks = "admin", a_name_of_tomorrow = "read" }
    kms_key_arn                    = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"
    github_api_base_url            = "https://ghe.example.com:8443/api/v3/"
    log_level                      = "debug"
    log_format                     = "JSON"
    log_retention_days             = 3653
    log_group_kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    metrics_namespace              = "Company/Brokers_#1:x"
    alarm_actions                  = ["arn:aws:sns:eu-west-1:123456789012:on-call.fifo"]
    invoker_role_arns              = ["arn:aws:iam::123456789012:role/ci", "arn:aws-cn:iam::123456789012:role/path/to/x+=,.@-_"]
    permissions_boundary_arn       = "arn:aws:iam::aws:policy/Boundary"
    reserved_concurrent_executions = 0
    architecture                   = "x86_64"
    memory_size                    = 10240
    timeout                        = 900
    tags                           = { team = "platform \"one\" $(x)" }
    ssm_parameter_paths            = { client_id = "/a/b.c_d-e", installation_id = "/x", private_key = "/y" }
    lambda_artifact = {
      lambda_source_s3 = { bucket = "my.zips-1", key = "a/b+c.zip", version_id = "3L4kqtJlcpXroDTDmJ.rmSpXd3-_" }
      sha256           = "0123456789ABCDEFabcdef0123456789abcdef0123456789abcdef0123456789"
    }
  }
}

run "null_is_as_good_as_left_out" {
  command = plan
  variables {
    repository_id                  = null
    release_repository             = null
    permissions                    = null
    ssm_parameter_paths            = null
    kms_key_arn                    = null
    github_api_base_url            = null
    log_level                      = null
    log_format                     = null
    log_retention_days             = null
    log_group_kms_key_arn          = null
    metrics_namespace              = null
    alarm_actions                  = null
    invoker_role_arns              = null
    permissions_boundary_arn       = null
    reserved_concurrent_executions = null
    architecture                   = null
    memory_size                    = null
    timeout                        = null
    description                    = null
    tags                           = null
  }
}

run "loopback_may_be_plain_http" {
  command = plan
  variables {
    github_api_base_url = "http://127.0.0.1:8080/api/v3"
  }
}

run "refuses_shell_text" {
  command = plan
  variables {
    function_name            = "$(touch x)"
    repository_owner         = "$(touch x)"
    repository_name          = "`touch x`"
    repository_id            = "1;touch x"
    release_repository       = "a/b;touch x"
    permissions              = { "$(touch x)" = "read" }
    ssm_parameter_paths      = { client_id = "/$(touch x)" }
    kms_key_arn              = "arn:aws:kms:eu-west-1:123456789012:key/$(touch x)"
    github_api_base_url      = "https://$(touch x)"
    log_level                = "$(touch x)"
    log_format               = "$(touch x)"
    log_group_kms_key_arn    = "arn:aws:kms:eu-west-1:123456789012:key/$(touch x)"
    metrics_namespace        = "$(touch x)"
    alarm_actions            = ["arn:aws:sns:eu-west-1:123456789012:$(touch x)"]
    invoker_role_arns        = ["arn:aws:iam::123456789012:role/$(touch x)"]
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/$(touch x)"
    architecture             = "$(touch x)"
    lambda_artifact          = { release_version = "v1.1.0;touch x" }
  }
  expect_failures = [
    var.function_name, var.repository_owner, var.repository_name, var.repository_id, var.release_repository,
    var.permissions, var.ssm_parameter_paths, var.kms_key_arn, var.github_api_base_url, var.log_level, var.log_format,
    var.log_group_kms_key_arn, var.metrics_namespace, var.alarm_actions, var.invoker_role_arns,
    var.permissions_boundary_arn, var.architecture, var.lambda_artifact,
  ]
}

run "refuses_quotes" {
  command = plan
  variables {
    function_name            = "a\"b"
    repository_owner         = "a'b"
    repository_name          = "a\"b"
    repository_id            = "'1'"
    release_repository       = "a/'b'"
    permissions              = { "a\"b" = "read" }
    ssm_parameter_paths      = { private_key = "/a\"b" }
    kms_key_arn              = "\"arn:aws:kms:eu-west-1:123456789012:key/1\""
    github_api_base_url      = "https://ghe.example.com/'x'"
    metrics_namespace        = "a'b"
    alarm_actions            = ["arn:aws:sns:eu-west-1:123456789012:'x'"]
    invoker_role_arns        = ["arn:aws:iam::123456789012:role/\"x\""]
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/'x'"
    lambda_artifact          = { lambda_source_s3 = { bucket = "zips", key = "a\"b" } }
  }
  expect_failures = [
    var.function_name, var.repository_owner, var.repository_name, var.repository_id, var.release_repository,
    var.permissions, var.ssm_parameter_paths, var.kms_key_arn, var.github_api_base_url, var.metrics_namespace,
    var.alarm_actions, var.invoker_role_arns, var.permissions_boundary_arn, var.lambda_artifact,
  ]
}

run "refuses_blanks" {
  command = plan
  variables {
    function_name       = "my broker"
    repository_owner    = "your-org "
    repository_name     = " your-repo"
    repository_id       = " 1"
    release_repository  = "a/b\n"
    permissions         = { "pull requests" = "read" }
    ssm_parameter_paths = { installation_id = "/a b" }
    kms_key_arn         = "arn:aws:kms:eu-west-1:123456789012:key/1\n"
    github_api_base_url = "https://ghe.example.com/api v3"
    log_level           = "info\n"
    metrics_namespace   = "My Broker"
    alarm_actions       = ["arn:aws:sns:eu-west-1:123456789012:on call"]
    invoker_role_arns   = ["arn:aws:iam::123456789012:role/ci\n"]
    lambda_artifact     = { release_version = "v1.1.0\n" }
  }
  expect_failures = [
    var.function_name, var.repository_owner, var.repository_name, var.repository_id, var.release_repository,
    var.permissions, var.ssm_parameter_paths, var.kms_key_arn, var.github_api_base_url, var.log_level,
    var.metrics_namespace, var.alarm_actions, var.invoker_role_arns, var.lambda_artifact,
  ]
}

run "refuses_emptiness" {
  command = plan
  variables {
    function_name            = ""
    repository_owner         = ""
    repository_name          = ""
    repository_id            = ""
    release_repository       = ""
    permissions              = {}
    ssm_parameter_paths      = { client_id = "" }
    kms_key_arn              = ""
    github_api_base_url      = ""
    log_level                = ""
    log_format               = ""
    log_group_kms_key_arn    = ""
    metrics_namespace        = ""
    alarm_actions            = [""]
    invoker_role_arns        = [""]
    permissions_boundary_arn = ""
    architecture             = ""
    lambda_artifact          = { release_version = "" }
  }
  expect_failures = [
    var.function_name, var.repository_owner, var.repository_name, var.repository_id, var.release_repository,
    var.permissions, var.ssm_parameter_paths, var.kms_key_arn, var.github_api_base_url, var.log_level, var.log_format,
    var.log_group_kms_key_arn, var.metrics_namespace, var.alarm_actions, var.invoker_role_arns,
    var.permissions_boundary_arn, var.architecture, var.lambda_artifact,
  ]
}

run "refuses_wildcards" {
  command = plan
  variables {
    function_name            = "broker*"
    repository_owner         = "*"
    repository_name          = "your-*"
    release_repository       = "a/*"
    permissions              = { "*" = "read" }
    ssm_parameter_paths      = { client_id = "/github-token-broker/*" }
    kms_key_arn              = "arn:aws:kms:eu-west-1:123456789012:key/*"
    github_api_base_url      = "https://*.ghe.com"
    log_group_kms_key_arn    = "arn:aws:kms:eu-west-1:123456789012:key/*"
    alarm_actions            = ["arn:aws:sns:eu-west-1:123456789012:*"]
    invoker_role_arns        = ["arn:aws:iam::123456789012:role/*"]
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/*"
    lambda_artifact          = { release_version = "v1.*" }
  }
  expect_failures = [
    var.function_name, var.repository_owner, var.repository_name, var.release_repository, var.permissions,
    var.ssm_parameter_paths, var.kms_key_arn, var.github_api_base_url, var.log_group_kms_key_arn, var.alarm_actions,
    var.invoker_role_arns, var.permissions_boundary_arn, var.lambda_artifact,
  ]
}

run "refuses_what_is_something_else" {
  command = plan
  variables {
    function_name            = "arn:aws:lambda:eu-west-1:123456789012:function:broker"
    repository_owner         = ".."
    repository_name          = "your-org/your-repo"
    repository_id            = "0"
    release_repository       = "https://github.com/meigma/github-token-broker"
    permissions              = { contents = "rw" }
    ssm_parameter_paths      = { private_key = "arn:aws:ssm:eu-west-1:123456789012:parameter/a" }
    kms_key_arn              = "arn:aws:kms:eu-west-1:123456789012:alias/broker"
    github_api_base_url      = "ghe.example.com/api/v3"
    log_level                = "INFO"
    log_format               = "json"
    log_retention_days       = 31
    log_group_kms_key_arn    = "arn:aws:kms:eu-west-1:123456789012:alias/logs"
    metrics_namespace        = "AWS/Lambda"
    alarm_actions            = ["on-call"]
    invoker_role_arns        = ["arn:aws:iam::123456789012:user/ci"]
    permissions_boundary_arn = "arn:aws:iam::123456789012:role/ci"
    architecture             = "amd64"
    lambda_artifact          = { release_version = "latest" }
  }
  expect_failures = [
    var.function_name, var.repository_owner, var.repository_name, var.repository_id, var.release_repository,
    var.permissions, var.ssm_parameter_paths, var.kms_key_arn, var.github_api_base_url, var.log_level, var.log_format,
    var.log_retention_days, var.log_group_kms_key_arn, var.metrics_namespace, var.alarm_actions, var.invoker_role_arns,
    var.permissions_boundary_arn, var.architecture, var.lambda_artifact,
  ]
}

run "refuses_too_little" {
  command = plan
  variables {
    repository_id                  = "-1"
    repository_name                = "."
    ssm_parameter_paths            = { client_id = "client-id" }
    permissions                    = { contents = "" }
    kms_key_arn                    = "1234abcd-12ab-34cd-56ef-1234567890ab"
    github_api_base_url            = "https:///api/v3"
    log_retention_days             = -1
    reserved_concurrent_executions = -1
    memory_size                    = 127
    timeout                        = 0
    lambda_artifact                = { lambda_zip_path = " " }
  }
  expect_failures = [
    var.repository_id, var.repository_name, var.ssm_parameter_paths, var.permissions, var.kms_key_arn,
    var.github_api_base_url, var.log_retention_days, var.reserved_concurrent_executions, var.memory_size, var.timeout,
    var.lambda_artifact,
  ]
}

run "refuses_too_much" {
  command = plan
  variables {
    function_name                  = "A-very_long-name-of-65-characters-0123456789-0123456789-012345678"
    release_repository             = "github.com/meigma/github-token-broker"
    permissions                    = { contents = "read", Metadata = "read" }
    ssm_parameter_paths            = { client_id = "/same", installation_id = "/same" }
    github_api_base_url            = "https://user:secret@ghe.example.com/api/v3"
    reserved_concurrent_executions = 1.5
    memory_size                    = 10241
    timeout                        = 901
    invoker_role_arns              = ["arn:aws:iam::123456789012:role/ci", "arn:aws:iam::123456789012:role/ci"]
    description                    = join("", [for n in range(257) : "x"])
    lambda_artifact                = { lambda_zip_path = "a.zip", release_version = "v1.1.0" }
  }
  expect_failures = [
    var.function_name, var.release_repository, var.permissions, var.ssm_parameter_paths, var.github_api_base_url,
    var.reserved_concurrent_executions, var.memory_size, var.timeout, var.invoker_role_arns, var.description,
    var.lambda_artifact,
  ]
}

run "refuses_fractions_and_plain_http" {
  command = plan
  variables {
    memory_size         = 128.5
    timeout             = 1.5
    github_api_base_url = "http://ghe.example.com/api/v3"
    lambda_artifact     = {}
  }
  expect_failures = [var.memory_size, var.timeout, var.github_api_base_url, var.lambda_artifact]
}

run "refuses_a_query_and_a_short_hash" {
  command = plan
  variables {
    github_api_base_url = "https://ghe.example.com/api/v3?x=1"
    lambda_artifact     = { lambda_zip_path = "a.zip", sha256 = "0123" }
  }
  expect_failures = [var.github_api_base_url, var.lambda_artifact]
}

run "refuses_a_fragment_and_a_bucket_that_is_a_url" {
  command = plan
  variables {
    github_api_base_url = "https://ghe.example.com/api/v3#x"
    lambda_artifact     = { lambda_source_s3 = { bucket = "s3://zips", key = "broker.zip" } }
  }
  expect_failures = [var.github_api_base_url, var.lambda_artifact]
}

run "refuses_a_host_that_only_begins_like_loopback" {
  command = plan
  variables {
    github_api_base_url = "http://127.0.0.1.example.com"
    lambda_artifact     = { lambda_source_s3 = { bucket = "zips", key = "broker.zip", version_id = "a b" } }
  }
  expect_failures = [var.github_api_base_url, var.lambda_artifact]
}

run "refuses_an_attestation_without_a_release" {
  command = plan
  variables {
    lambda_artifact = { lambda_zip_path = "a.zip", verify_attestation = true }
  }
  expect_failures = [var.lambda_artifact]
}

run "refuses_a_release_version_that_is_an_option" {
  command = plan
  variables {
    release_repository = "meigma/.."
    lambda_artifact    = { release_version = "--help" }
  }
  expect_failures = [var.release_repository, var.lambda_artifact]
}

run "refuses_a_release_version_that_is_a_path" {
  command = plan
  variables {
    lambda_artifact = { release_version = "../v1.1.0" }
  }
  expect_failures = [var.lambda_artifact]
}
