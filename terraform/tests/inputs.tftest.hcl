# Every validation, with valid and invalid values. Each run is one kind of mistake, in every input in which it is possible;
# `expect_failures` fails the run if one of the inputs is accepted.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
  mock_data "aws_s3_object" {
    defaults = { checksum_sha256 = "ASNFZ4mrze+rze8BI0VniavN7wEjRWeJq83vASNFZ4k=" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { code_sha256 = "ASNFZ4mrze+rze8BI0VniavN7wEjRWeJq83vASNFZ4k=" }
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

run "only_the_required_inputs" {
  command = plan
}

run "every_input_at_its_limit" {
  command = plan
  variables {
    function_name                  = "A-very_long-name-of-64-characters-0123456789-0123456789-01234567"
    repository_owner               = "Your.Org_1-x"
    repository_name                = "..your.repo_1-x.."
    repository_id                  = "9007199254740993"
    permissions                    = { contents = "write", pull_requests = "read", organization_hooks = "admin", a_name_of_tomorrow = "read" }
    kms_key_arn                    = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"
    github_api_base_url            = "https://ghe.example.com:65535/api/v3/"
    log_level                      = "debug"
    log_format                     = "JSON"
    log_retention_days             = 3653
    log_group_kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    metrics_namespace              = "Company/Brokers_#1:x"
    alarm_actions                  = ["arn:aws:sns:eu-west-1:123456789012:on-call.fifo"]
    alarm_thresholds               = { private_key_age_days = 1, github_rate_limit_remaining = 15000 }
    cloudtrail_log_group_name      = "aws-cloudtrail-logs/123456789012_ab#c.d"
    signing_role_arns              = ["arn:aws-cn:iam::123456789012:role/path/to/x+=,.@-_"]
    dashboard                      = true
    client_id                      = "Iv1.0123456789abcdef_-0123456789abcdef0123456789abcdef0123456789"
    signing_key_arns               = ["arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"]
    invoker_role_arns              = { ci = "arn:aws:iam::123456789012:role/ci", "A-name_2" = "arn:aws-cn:iam::123456789012:role/path/to/x+=,.@-_" }
    layers                         = ["arn:aws-cn:lambda:cn-north-1:123456789012:layer:ca_bundle-0:17", "arn:aws-cn:lambda:cn-north-1:123456789012:layer:ca_bundle-1:17", "arn:aws-cn:lambda:cn-north-1:123456789012:layer:ca_bundle-2:17", "arn:aws-cn:lambda:cn-north-1:123456789012:layer:ca_bundle-3:17", "arn:aws-cn:lambda:cn-north-1:123456789012:layer:ca_bundle-4:17"]
    ca_certificates_path           = "/opt/etc/ca-bundle_1.pem"
    https_proxy                    = "http://user:p%23ss@proxy.example.com:65535/"
    no_proxy                       = "localhost, 127.0.0.1:8080,.example.com,*.example.org,[::1],10.0.0.0/8"
    tracing_mode                   = "PassThrough"
    vpc_config                     = { subnet_ids = ["subnet-0123456789abcdef0"], security_group_ids = ["sg-0123456789abcdef0"], ipv6_allowed_for_dual_stack = true }
    permissions_boundary_arn       = "arn:aws:iam::aws:policy/Boundary"
    reserved_concurrent_executions = 0
    architecture                   = "x86_64"
    memory_size                    = 10240
    timeout                        = 900
    tags                           = { team = "platform \"one\" $(x)" }
    ssm_parameter_paths            = { installation_id = "/a/b.c_d-e" }
    lambda_artifact = {
      lambda_source_s3 = { bucket = "my.zips-1", key = "a/b+c.zip", version_id = "3L4kqtJlcpXroDTDmJ.rmSpXd3-_" }
      sha256           = "0123456789ABCDEFabcdef0123456789abcdef0123456789abcdef0123456789"
    }
  }
}

run "null_is_the_same_as_unset" {
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
    alarm_thresholds               = null
    cloudtrail_log_group_name      = null
    signing_role_arns              = null
    dashboard                      = null
    client_id                      = null
    installation_id                = null
    signing_key_arns               = null
    private_key_secret_arn         = null
    vpc_config                     = null
    https_proxy                    = null
    no_proxy                       = null
    ca_certificates_path           = null
    layers                         = null
    tracing_mode                   = null
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

run "http_is_allowed_for_loopback" {
  command = plan
  variables {
    github_api_base_url = "http://127.0.0.1:8080/api/v3"
  }
}

run "rejects_shell_text" {
  command = plan
  variables {
    function_name             = "$(touch x)"
    repository_owner          = "$(touch x)"
    repository_name           = "`touch x`"
    repository_id             = "1;touch x"
    release_repository        = "a/b;touch x"
    permissions               = { "$(touch x)" = "read" }
    ssm_parameter_paths       = { client_id = "/$(touch x)" }
    kms_key_arn               = "arn:aws:kms:eu-west-1:123456789012:key/$(touch x)"
    github_api_base_url       = "https://$(touch x)"
    log_level                 = "$(touch x)"
    log_format                = "$(touch x)"
    log_group_kms_key_arn     = "arn:aws:kms:eu-west-1:123456789012:key/$(touch x)"
    metrics_namespace         = "$(touch x)"
    alarm_actions             = ["arn:aws:sns:eu-west-1:123456789012:$(touch x)"]
    permissions_boundary_arn  = "arn:aws:iam::123456789012:policy/$(touch x)"
    architecture              = "$(touch x)"
    lambda_artifact           = { release_version = "v1.1.0;touch x" }
    invoker_role_arns         = { ci = "arn:aws:iam::123456789012:role/$(touch x)" }
    client_id                 = "$(touch x)"
    installation_id           = "1;touch x"
    signing_key_arns          = ["arn:aws:kms:eu-west-1:123456789012:key/$(touch x)"]
    private_key_secret_arn    = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:$(touch x)-AbCdEf"
    vpc_config                = { subnet_ids = ["subnet-$(touch x)"], security_group_ids = ["sg-0a"] }
    https_proxy               = "http://$(touch x)"
    no_proxy                  = "$(touch x)"
    ca_certificates_path      = "/opt/$(touch x)"
    layers                    = ["arn:aws:lambda:eu-west-1:123456789012:layer:$(touch x):1"]
    tracing_mode              = "$(touch x)"
    cloudtrail_log_group_name = "$(touch x)"
    signing_role_arns         = ["arn:aws:iam::123456789012:role/$(touch x)"]
  }
  expect_failures = [
    var.client_id, var.installation_id, var.signing_key_arns, var.private_key_secret_arn, var.vpc_config, var.https_proxy, var.no_proxy, var.ca_certificates_path, var.layers, var.tracing_mode, var.cloudtrail_log_group_name, var.signing_role_arns,
    var.function_name, var.repository_owner, var.repository_name, var.repository_id, var.release_repository,
    var.permissions, var.ssm_parameter_paths, var.kms_key_arn, var.github_api_base_url, var.log_level, var.log_format,
    var.log_group_kms_key_arn, var.metrics_namespace, var.alarm_actions, var.invoker_role_arns,
    var.permissions_boundary_arn, var.architecture, var.lambda_artifact,
  ]
}

run "rejects_quotes" {
  command = plan
  variables {
    function_name             = "a\"b"
    repository_owner          = "a'b"
    repository_name           = "a\"b"
    repository_id             = "'1'"
    release_repository        = "a/'b'"
    permissions               = { "a\"b" = "read" }
    ssm_parameter_paths       = { private_key = "/a\"b" }
    kms_key_arn               = "\"arn:aws:kms:eu-west-1:123456789012:key/1\""
    github_api_base_url       = "https://ghe.example.com/'x'"
    metrics_namespace         = "a'b"
    alarm_actions             = ["arn:aws:sns:eu-west-1:123456789012:'x'"]
    permissions_boundary_arn  = "arn:aws:iam::123456789012:policy/'x'"
    lambda_artifact           = { lambda_source_s3 = { bucket = "zips", key = "a\"b" } }
    invoker_role_arns         = { ci = "arn:aws:iam::123456789012:role/\"x\"" }
    client_id                 = "\"Iv23liAbCdEfGhIjKlMn\""
    installation_id           = "'1'"
    signing_key_arns          = ["\"arn:aws:kms:eu-west-1:123456789012:key/1\""]
    cloudtrail_log_group_name = "a\"b"
    ca_certificates_path      = "/opt/\"ca.pem\""
    no_proxy                  = "'example.com'"
  }
  expect_failures = [
    var.client_id, var.installation_id, var.signing_key_arns, var.cloudtrail_log_group_name, var.ca_certificates_path, var.no_proxy,
    var.function_name, var.repository_owner, var.repository_name, var.repository_id, var.release_repository,
    var.permissions, var.ssm_parameter_paths, var.kms_key_arn, var.github_api_base_url, var.metrics_namespace,
    var.alarm_actions, var.invoker_role_arns, var.permissions_boundary_arn, var.lambda_artifact,
  ]
}

run "rejects_blanks" {
  command = plan
  variables {
    function_name        = "my broker"
    repository_owner     = "your-org "
    repository_name      = " your-repo"
    repository_id        = " 1"
    release_repository   = "a/b\n"
    permissions          = { "pull requests" = "read" }
    ssm_parameter_paths  = { installation_id = "/a b" }
    kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1\n"
    github_api_base_url  = "https://ghe.example.com/api v3"
    log_level            = "info\n"
    metrics_namespace    = "My Broker"
    alarm_actions        = ["arn:aws:sns:eu-west-1:123456789012:on call"]
    lambda_artifact      = { release_version = "v1.1.0\n" }
    invoker_role_arns    = { ci = "arn:aws:iam::123456789012:role/ci\n" }
    client_id            = "Iv23liAbCdEfGhIjKlMn\n"
    installation_id      = " 1"
    signing_key_arns     = ["arn:aws:kms:eu-west-1:123456789012:key/1 "]
    https_proxy          = "http://proxy example.com"
    no_proxy             = "a b"
    ca_certificates_path = "/opt/ca certificates.pem"
    tracing_mode         = "Active "
  }
  expect_failures = [
    var.client_id, var.installation_id, var.signing_key_arns, var.https_proxy, var.no_proxy, var.ca_certificates_path, var.tracing_mode,
    var.function_name, var.repository_owner, var.repository_name, var.repository_id, var.release_repository,
    var.permissions, var.ssm_parameter_paths, var.kms_key_arn, var.github_api_base_url, var.log_level,
    var.metrics_namespace, var.alarm_actions, var.invoker_role_arns, var.lambda_artifact,
  ]
}

run "rejects_empty_values" {
  command = plan
  variables {
    function_name             = ""
    repository_owner          = ""
    repository_name           = ""
    repository_id             = ""
    release_repository        = ""
    permissions               = {}
    ssm_parameter_paths       = { client_id = "" }
    kms_key_arn               = ""
    github_api_base_url       = ""
    log_level                 = ""
    log_format                = ""
    log_group_kms_key_arn     = ""
    metrics_namespace         = ""
    alarm_actions             = [""]
    permissions_boundary_arn  = ""
    architecture              = ""
    lambda_artifact           = { release_version = "" }
    invoker_role_arns         = { ci = "" }
    client_id                 = ""
    installation_id           = ""
    signing_key_arns          = [""]
    private_key_secret_arn    = ""
    vpc_config                = { subnet_ids = [], security_group_ids = [] }
    https_proxy               = ""
    no_proxy                  = ""
    ca_certificates_path      = ""
    layers                    = [""]
    tracing_mode              = ""
    cloudtrail_log_group_name = ""
    signing_role_arns         = [""]
  }
  expect_failures = [
    var.client_id, var.installation_id, var.signing_key_arns, var.private_key_secret_arn, var.vpc_config, var.https_proxy, var.no_proxy, var.ca_certificates_path, var.layers, var.tracing_mode, var.cloudtrail_log_group_name, var.signing_role_arns,
    var.function_name, var.repository_owner, var.repository_name, var.repository_id, var.release_repository,
    var.permissions, var.ssm_parameter_paths, var.kms_key_arn, var.github_api_base_url, var.log_level, var.log_format,
    var.log_group_kms_key_arn, var.metrics_namespace, var.alarm_actions, var.invoker_role_arns,
    var.permissions_boundary_arn, var.architecture, var.lambda_artifact,
  ]
}

run "rejects_wildcards" {
  command = plan
  variables {
    function_name             = "broker*"
    repository_owner          = "*"
    repository_name           = "your-*"
    release_repository        = "a/*"
    permissions               = { "*" = "read" }
    ssm_parameter_paths       = { client_id = "/github-token-broker/*" }
    kms_key_arn               = "arn:aws:kms:eu-west-1:123456789012:key/*"
    github_api_base_url       = "https://*.ghe.com"
    log_group_kms_key_arn     = "arn:aws:kms:eu-west-1:123456789012:key/*"
    alarm_actions             = ["arn:aws:sns:eu-west-1:123456789012:*"]
    permissions_boundary_arn  = "arn:aws:iam::123456789012:policy/*"
    lambda_artifact           = { release_version = "v1.*" }
    invoker_role_arns         = { ci = "arn:aws:iam::123456789012:role/*" }
    client_id                 = "*"
    signing_key_arns          = ["arn:aws:kms:eu-west-1:123456789012:key/*"]
    private_key_secret_arn    = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-key-??????"
    layers                    = ["arn:aws:lambda:eu-west-1:123456789012:layer:ca:*"]
    signing_role_arns         = ["arn:aws:iam::123456789012:role/*"]
    cloudtrail_log_group_name = "*"
  }
  expect_failures = [
    var.client_id, var.signing_key_arns, var.private_key_secret_arn, var.layers, var.signing_role_arns, var.cloudtrail_log_group_name,
    var.function_name, var.repository_owner, var.repository_name, var.release_repository, var.permissions,
    var.ssm_parameter_paths, var.kms_key_arn, var.github_api_base_url, var.log_group_kms_key_arn, var.alarm_actions,
    var.invoker_role_arns, var.permissions_boundary_arn, var.lambda_artifact,
  ]
}

run "rejects_values_of_another_kind" {
  command = plan
  variables {
    function_name             = "arn:aws:lambda:eu-west-1:123456789012:function:broker"
    repository_owner          = ".."
    repository_name           = "your-org/your-repo"
    repository_id             = "0"
    release_repository        = "https://github.com/meigma/github-token-broker"
    permissions               = { contents = "rw" }
    ssm_parameter_paths       = { private_key = "arn:aws:ssm:eu-west-1:123456789012:parameter/a" }
    kms_key_arn               = "arn:aws:kms:eu-west-1:123456789012:alias/broker"
    github_api_base_url       = "ghe.example.com/api/v3"
    log_level                 = "INFO"
    log_format                = "json"
    log_retention_days        = 31
    log_group_kms_key_arn     = "arn:aws:kms:eu-west-1:123456789012:alias/logs"
    metrics_namespace         = "AWS/Lambda"
    alarm_actions             = ["on-call"]
    permissions_boundary_arn  = "arn:aws:iam::123456789012:role/ci"
    architecture              = "amd64"
    lambda_artifact           = { release_version = "latest" }
    invoker_role_arns         = { ci = "arn:aws:iam::123456789012:user/ci" }
    client_id                 = "-----BEGIN RSA PRIVATE KEY-----"
    installation_id           = "https://github.com/settings/installations/1"
    signing_key_arns          = ["arn:aws:kms:eu-west-1:123456789012:alias/app"]
    private_key_secret_arn    = "app-key"
    vpc_config                = { subnet_ids = ["vpc-0a"], security_group_ids = ["default"] }
    https_proxy               = "https://proxy.example.com"
    no_proxy                  = "http://example.com"
    ca_certificates_path      = "ca.pem"
    layers                    = ["arn:aws:lambda:eu-west-1:123456789012:layer:ca"]
    tracing_mode              = "true"
    cloudtrail_log_group_name = "arn:aws:logs:eu-west-1:123456789012:log-group:cloudtrail:*"
    signing_role_arns         = ["arn:aws:sts::123456789012:assumed-role/ci/session"]
  }
  expect_failures = [
    var.client_id, var.installation_id, var.signing_key_arns, var.private_key_secret_arn, var.vpc_config, var.https_proxy, var.no_proxy, var.ca_certificates_path, var.layers, var.tracing_mode, var.cloudtrail_log_group_name, var.signing_role_arns,
    var.function_name, var.repository_owner, var.repository_name, var.repository_id, var.release_repository,
    var.permissions, var.ssm_parameter_paths, var.kms_key_arn, var.github_api_base_url, var.log_level, var.log_format,
    var.log_retention_days, var.log_group_kms_key_arn, var.metrics_namespace, var.alarm_actions, var.invoker_role_arns,
    var.permissions_boundary_arn, var.architecture, var.lambda_artifact,
  ]
}

run "rejects_values_that_are_too_small" {
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
    installation_id                = "0"
    signing_key_arns               = ["1234abcd-12ab-34cd-56ef-1234567890ab"]
    private_key_secret_arn         = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-key"
    alarm_thresholds               = { private_key_age_days = 0 }
    vpc_config                     = { subnet_ids = ["subnet-0a"], security_group_ids = [] }
    https_proxy                    = "http://proxy.example.com:0"
    invoker_role_arns              = { "" = "arn:aws:iam::123456789012:role/ci" }
    ca_certificates_path           = "/"
  }
  expect_failures = [
    var.installation_id, var.signing_key_arns, var.private_key_secret_arn, var.alarm_thresholds, var.vpc_config, var.https_proxy, var.invoker_role_arns, var.ca_certificates_path,
    var.repository_id, var.repository_name, var.ssm_parameter_paths, var.permissions, var.kms_key_arn,
    var.github_api_base_url, var.log_retention_days, var.reserved_concurrent_executions, var.memory_size, var.timeout,
    var.lambda_artifact,
  ]
}

run "rejects_values_that_are_too_large" {
  command = plan
  variables {
    function_name                  = "A-very_long-name-of-65-characters-0123456789-0123456789-012345678"
    release_repository             = "github.com/meigma/github-token-broker"
    permissions                    = { contents = "read", Metadata = "read" }
    ssm_parameter_paths            = { client_id = "/aws/reference/secretsmanager/client-id" }
    github_api_base_url            = "https://user:secret@ghe.example.com/api/v3"
    reserved_concurrent_executions = 1.5
    memory_size                    = 10241
    timeout                        = 901
    description                    = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    lambda_artifact                = { lambda_zip_path = "a.zip", release_version = "v1.1.0" }
    invoker_role_arns              = { a = "arn:aws:iam::123456789012:role/ci", b = "arn:aws:iam::123456789012:role/ci" }
    client_id                      = "Iv1.0123456789abcdef0123456789abcdef0123456789abcdef0123456789abc"
    installation_id                = "12345678901234567890"
    signing_key_arns               = ["arn:aws:kms:eu-west-1:123456789012:key/1", "arn:aws:kms:eu-west-1:123456789012:key/1"]
    alarm_thresholds               = { github_rate_limit_remaining = 1.5 }
    layers                         = ["arn:aws:lambda:eu-west-1:123456789012:layer:ca:1", "arn:aws:lambda:eu-west-1:123456789012:layer:ca:2", "arn:aws:lambda:eu-west-1:123456789012:layer:ca:3", "arn:aws:lambda:eu-west-1:123456789012:layer:ca:4", "arn:aws:lambda:eu-west-1:123456789012:layer:ca:5", "arn:aws:lambda:eu-west-1:123456789012:layer:ca:6"]
    https_proxy                    = "http://proxy.example.com:65536"
    signing_role_arns              = ["arn:aws:iam::1234567890123:role/ci"]
  }
  expect_failures = [
    var.client_id, var.installation_id, var.signing_key_arns, var.alarm_thresholds, var.layers, var.https_proxy, var.signing_role_arns,
    var.function_name, var.release_repository, var.permissions, var.ssm_parameter_paths, var.github_api_base_url,
    var.reserved_concurrent_executions, var.memory_size, var.timeout, var.invoker_role_arns, var.description,
    var.lambda_artifact,
  ]
}

run "rejects_fractions_and_plain_http" {
  command = plan
  variables {
    memory_size         = 128.5
    timeout             = 1.5
    github_api_base_url = "http://ghe.example.com/api/v3"
    lambda_artifact     = {}
  }
  expect_failures = [var.memory_size, var.timeout, var.github_api_base_url, var.lambda_artifact]
}

run "rejects_a_query_and_a_short_hash" {
  command = plan
  variables {
    github_api_base_url = "https://ghe.example.com/api/v3?x=1"
    lambda_artifact     = { lambda_zip_path = "a.zip", sha256 = "0123" }
  }
  expect_failures = [var.github_api_base_url, var.lambda_artifact]
}

run "rejects_a_fragment_and_a_bucket_that_is_a_url" {
  command = plan
  variables {
    github_api_base_url = "https://ghe.example.com/api/v3#x"
    lambda_artifact     = { lambda_source_s3 = { bucket = "s3://zips", key = "broker.zip" } }
  }
  expect_failures = [var.github_api_base_url, var.lambda_artifact]
}

run "rejects_a_host_that_only_starts_like_loopback" {
  command = plan
  variables {
    github_api_base_url = "http://127.0.0.1.example.com"
    lambda_artifact     = { lambda_source_s3 = { bucket = "zips", key = "broker.zip", version_id = "a b" } }
  }
  expect_failures = [var.github_api_base_url, var.lambda_artifact]
}

run "rejects_an_attestation_without_a_release" {
  command = plan
  variables {
    lambda_artifact = { lambda_zip_path = "a.zip", verify_attestation = true }
  }
  expect_failures = [var.lambda_artifact]
}

run "rejects_a_release_version_that_is_an_option" {
  command = plan
  variables {
    release_repository = "meigma/.."
    lambda_artifact    = { release_version = "--help" }
  }
  expect_failures = [var.release_repository, var.lambda_artifact]
}

run "rejects_a_release_version_that_is_a_path" {
  command = plan
  variables {
    lambda_artifact = { release_version = "../v1.1.0" }
  }
  expect_failures = [var.lambda_artifact]
}

run "rejects_ports_that_do_not_exist" {
  command = plan
  variables {
    github_api_base_url = "https://ghe.example.com:65536/api/v3"
    https_proxy         = "http://proxy.example.com:99999"
  }
  expect_failures = [var.github_api_base_url, var.https_proxy]
}

run "rejects_port_zero" {
  command = plan
  variables {
    github_api_base_url = "https://ghe.example.com:0"
    https_proxy         = "http://proxy.example.com:00"
  }
  expect_failures = [var.github_api_base_url, var.https_proxy]
}

run "rejects_an_empty_port" {
  command = plan
  variables {
    github_api_base_url = "https://ghe.example.com:"
    https_proxy         = "http://proxy.example.com:"
  }
  expect_failures = [var.github_api_base_url, var.https_proxy]
}

run "rejects_a_port_that_is_not_a_number" {
  command = plan
  variables {
    github_api_base_url = "https://ghe.example.com:443x/api/v3"
    https_proxy         = "http://proxy.example.com:abc"
  }
  expect_failures = [var.github_api_base_url, var.https_proxy]
}

run "rejects_a_url_in_a_url" {
  command = plan
  variables {
    github_api_base_url = "https://http://ghe.example.com"
    https_proxy         = "http://http://proxy.example.com"
  }
  expect_failures = [var.github_api_base_url, var.https_proxy]
}

run "rejects_a_loopback_port_that_does_not_exist" {
  command = plan
  variables {
    github_api_base_url = "http://127.0.0.1:70000"
    https_proxy         = "http://user:pass#word@proxy.example.com:3128"
  }
  expect_failures = [var.github_api_base_url, var.https_proxy]
}

run "accepts_the_smallest_and_largest_ports" {
  command = plan
  variables {
    github_api_base_url = "https://ghe.example.com:1/api/v3"
    https_proxy         = "http://proxy.example.com:65535"
  }
}
