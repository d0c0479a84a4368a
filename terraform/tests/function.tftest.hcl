# The function's settings, its environment, and the three sources of its zip.

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
  mock_data "aws_s3_object" {
    defaults = { checksum_sha256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/broker" }
  }
  mock_resource "aws_lambda_function" {
    defaults = {
      arn         = "arn:aws:lambda:eu-west-1:123456789012:function:broker"
      code_sha256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    }
  }
}

variables {
  function_name    = "broker"
  repository_owner = "your-org"
  repository_name  = "your-repo"
  lambda_artifact  = { lambda_source_s3 = { bucket = "zips", key = "broker.zip" } }
}

run "defaults" {
  command = plan

  assert {
    condition = [
      aws_lambda_function.broker.runtime, aws_lambda_function.broker.handler,
      one(aws_lambda_function.broker.architectures), tostring(aws_lambda_function.broker.memory_size),
      tostring(aws_lambda_function.broker.timeout), one(aws_lambda_function.broker.logging_config).log_format,
      one(aws_lambda_function.broker.logging_config).log_group,
    ] == ["provided.al2023", "bootstrap", "arm64", "128", "10", "Text", "/aws/lambda/broker"]
    error_message = "The function's defaults differ from the contract."
  }

  assert {
    condition = one(aws_lambda_function.broker.environment).variables == tomap({
      GITHUB_TOKEN_BROKER_REPOSITORY_OWNER      = "your-org"
      GITHUB_TOKEN_BROKER_REPOSITORY_NAME       = "your-repo"
      GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM       = "/github-token-broker/app/client-id"
      GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM = "/github-token-broker/app/installation-id"
      GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM     = "/github-token-broker/app/private-key-pem"
      GITHUB_TOKEN_BROKER_PERMISSIONS           = "{\"contents\":\"read\"}"
    })
    error_message = "The environment contains a variable that was not set, or lacks one that the policy relies on."
  }

  assert {
    condition     = alltrue([for name in ["reserved_concurrent_executions", "layers"] : aws_lambda_function.broker[name] == null])
    error_message = "Concurrency or layers are set without an input."
  }

  assert {
    condition     = length(aws_lambda_function.broker.vpc_config) == 0 && one(aws_lambda_function.broker.tracing_config).mode == "PassThrough"
    error_message = "The function is in a VPC, or is traced, without an input."
  }
}

run "each_input_reaches_the_function" {
  command = plan
  variables {
    repository_id                  = 123456789
    permissions                    = { contents = "write", issues = "read" }
    ssm_parameter_paths            = { client_id = "/a", installation_id = "/b", private_key = "/c" }
    github_api_base_url            = "https://ghe.example.com/api/v3"
    log_level                      = "warn"
    log_format                     = "JSON"
    metrics_namespace              = "Brokers"
    architecture                   = "x86_64"
    memory_size                    = 256
    timeout                        = 20
    description                    = "ours"
    reserved_concurrent_executions = 5
    layers                         = ["arn:aws:lambda:eu-west-1:123456789012:layer:ca:3"]
    ca_certificates_path           = "/opt/ca.pem"
    https_proxy                    = "http://proxy.example.com:3128"
    no_proxy                       = "ssm.eu-west-1.amazonaws.com,.example.com"
    tracing_mode                   = "Active"
    vpc_config                     = { subnet_ids = ["subnet-0a", "subnet-0b"], security_group_ids = ["sg-0a"] }
  }

  assert {
    condition = one(aws_lambda_function.broker.environment).variables == tomap({
      GITHUB_TOKEN_BROKER_REPOSITORY_OWNER      = "your-org"
      GITHUB_TOKEN_BROKER_REPOSITORY_NAME       = "your-repo"
      GITHUB_TOKEN_BROKER_REPOSITORY_ID         = "123456789"
      GITHUB_TOKEN_BROKER_CLIENT_ID_PARAM       = "/a"
      GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM = "/b"
      GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM     = "/c"
      GITHUB_TOKEN_BROKER_PERMISSIONS           = "{\"contents\":\"write\",\"issues\":\"read\"}"
      GITHUB_TOKEN_BROKER_GITHUB_API_BASE_URL   = "https://ghe.example.com/api/v3"
      GITHUB_TOKEN_BROKER_LOG_LEVEL             = "warn"
      GITHUB_TOKEN_BROKER_METRICS_NAMESPACE     = "Brokers"
      HTTPS_PROXY                               = "http://proxy.example.com:3128"
      NO_PROXY                                  = "ssm.eu-west-1.amazonaws.com,.example.com"
      SSL_CERT_FILE                             = "/opt/ca.pem"
    })
    error_message = "The environment differs from the inputs."
  }

  assert {
    condition = [
      one(aws_lambda_function.broker.architectures), tostring(aws_lambda_function.broker.memory_size),
      tostring(aws_lambda_function.broker.timeout), one(aws_lambda_function.broker.logging_config).log_format,
      aws_lambda_function.broker.description, tostring(aws_lambda_function.broker.reserved_concurrent_executions),
      one(aws_lambda_function.broker.layers), one(aws_lambda_function.broker.tracing_config).mode,
    ] == ["x86_64", "256", "20", "JSON", "ours", "5", "arn:aws:lambda:eu-west-1:123456789012:layer:ca:3", "Active"]
    error_message = "The function's settings differ from the inputs."
  }

  assert {
    condition     = one(aws_lambda_function.broker.vpc_config).subnet_ids == toset(["subnet-0a", "subnet-0b"]) && one(aws_lambda_function.broker.vpc_config).security_group_ids == toset(["sg-0a"])
    error_message = "The function is in different subnets or security groups."
  }
}

run "kms_and_plain_ids_replace_the_parameters" {
  command = plan
  variables {
    client_id        = "Iv23liAbCdEfGhIjKlMn"
    installation_id  = 12345678
    signing_key_arns = ["arn:aws:kms:eu-west-1:123456789012:key/first", "arn:aws:kms:eu-west-1:123456789012:key/second"]
  }

  assert {
    condition = one(aws_lambda_function.broker.environment).variables == tomap({
      GITHUB_TOKEN_BROKER_REPOSITORY_OWNER = "your-org"
      GITHUB_TOKEN_BROKER_REPOSITORY_NAME  = "your-repo"
      GITHUB_TOKEN_BROKER_CLIENT_ID        = "Iv23liAbCdEfGhIjKlMn"
      GITHUB_TOKEN_BROKER_INSTALLATION_ID  = "12345678"
      GITHUB_TOKEN_BROKER_KMS_KEY_ID       = "arn:aws:kms:eu-west-1:123456789012:key/first"
      GITHUB_TOKEN_BROKER_PERMISSIONS      = "{\"contents\":\"read\"}"
    })
    error_message = "The function does not sign with the first key, or still reads a parameter."
  }
}

run "each_of_the_three_replaces_only_its_own_parameter" {
  command = plan
  variables {
    client_id           = "123456"
    ssm_parameter_paths = { installation_id = "/b" }
    signing_key_arns    = []
  }

  assert {
    condition = { for name, value in one(aws_lambda_function.broker.environment).variables : name => value if can(regex("CLIENT|INSTALLATION|KEY", name)) } == {
      GITHUB_TOKEN_BROKER_CLIENT_ID             = "123456"
      GITHUB_TOKEN_BROKER_INSTALLATION_ID_PARAM = "/b"
      GITHUB_TOKEN_BROKER_PRIVATE_KEY_PARAM     = "/github-token-broker/app/private-key-pem"
    }
    error_message = "A plain client ID changed more than the client ID's variable, or an empty list of keys is not the same as null."
  }
}

run "a_plain_id_and_its_parameter_exclude_each_other" {
  command = plan
  variables {
    client_id           = "Iv23liAbCdEfGhIjKlMn"
    ssm_parameter_paths = { client_id = "/github-token-broker/app/client-id" }
  }
  expect_failures = [aws_lambda_function.broker]
}

run "so_do_the_installation_id_and_its_parameter" {
  command = plan
  variables {
    installation_id     = "1"
    ssm_parameter_paths = { installation_id = "/b" }
  }
  expect_failures = [aws_lambda_function.broker]
}

run "so_do_a_signing_key_and_a_private_key" {
  command = plan
  variables {
    signing_key_arns    = ["arn:aws:kms:eu-west-1:123456789012:key/first"]
    ssm_parameter_paths = { private_key = "/c" }
  }
  expect_failures = [aws_lambda_function.broker]
}

run "alarms_or_a_dashboard_turn_metrics_on" {
  command = plan
  variables {
    dashboard = true
  }

  assert {
    condition     = one(aws_lambda_function.broker.environment).variables.GITHUB_TOKEN_BROKER_METRICS_NAMESPACE == "GitHubTokenBroker"
    error_message = "The dashboard has no metrics to show."
  }
}

run "an_s3_object_without_a_hash" {
  command = plan

  assert {
    condition     = [aws_lambda_function.broker.s3_bucket, aws_lambda_function.broker.s3_key, output.deployed_version] == ["zips", "broker.zip", "s3://zips/broker.zip"]
    error_message = "The function's code is not the given object."
  }
  assert {
    condition     = alltrue([for name in ["s3_object_version", "filename", "source_code_hash"] : aws_lambda_function.broker[name] == null])
    error_message = "An argument of the code is set without an input."
  }
  assert {
    condition     = length(terraform_data.release) == 0 && length(data.aws_s3_object.zip) == 0
    error_message = "The module downloads a release, or reads the object, although nothing requires it."
  }
}

# The hash of zero bytes, in both notations.
run "an_s3_object_with_a_hash" {
  command = apply
  variables {
    lambda_artifact = {
      lambda_source_s3 = { bucket = "zips", key = "broker.zip", version_id = "v7" }
      sha256           = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"
    }
  }

  assert {
    condition = [
      aws_lambda_function.broker.s3_object_version, aws_lambda_function.broker.source_code_hash, output.deployed_version,
    ] == ["v7", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "s3://zips/broker.zip?versionId=v7"]
    error_message = "The pinned hash was not converted to Lambda's notation."
  }
}

run "an_s3_object_with_another_hash" {
  command = plan
  variables {
    lambda_artifact = {
      lambda_source_s3 = { bucket = "zips", key = "broker.zip" }
      sha256           = "0000000000000000000000000000000000000000000000000000000000000000"
    }
  }
  expect_failures = [data.aws_s3_object.zip]
}

run "an_s3_object_without_a_checksum_of_the_whole" {
  command = plan
  variables {
    lambda_artifact = {
      lambda_source_s3 = { bucket = "zips", key = "broker.zip" }
      sha256           = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"
    }
  }
  override_data {
    target = data.aws_s3_object.zip
    values = { checksum_sha256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=-2" }
  }
  expect_failures = [data.aws_s3_object.zip]
}

run "a_release_for_arm64" {
  command = plan
  variables {
    lambda_artifact = { release_version = "v1.1.0" }
  }

  assert {
    condition     = endswith(aws_lambda_function.broker.filename, "/github-token-broker.zip") && terraform_data.release[0].input == aws_lambda_function.broker.filename
    error_message = "The arm64 zip is not github-token-broker.zip."
  }
  assert {
    condition     = output.deployed_version == "v1.1.0"
    error_message = "deployed_version is not the release's tag."
  }
}

run "a_release_for_x86_64" {
  command = plan
  variables {
    architecture    = "x86_64"
    lambda_artifact = { release_version = "v1.1.0" }
  }

  assert {
    condition     = endswith(aws_lambda_function.broker.filename, "/github-token-broker-x86_64.zip")
    error_message = "The x86_64 zip is not github-token-broker-x86_64.zip."
  }
}

run "a_missing_zip_is_reported_at_plan_time" {
  command = plan
  variables {
    lambda_artifact = { lambda_zip_path = "no/such/file.zip" }
  }
  expect_failures = [aws_lambda_function.broker]
}

run "a_file_that_is_not_a_zip_is_reported_at_plan_time" {
  command = plan
  variables {
    lambda_artifact = { lambda_zip_path = "main.tf" }
  }
  expect_failures = [aws_lambda_function.broker]
}

run "certificates_in_opt_need_a_layer" {
  command = plan
  variables {
    ca_certificates_path = "/opt/ca.pem"
  }
  expect_failures = [aws_lambda_function.broker]
}

run "no_proxy_needs_a_proxy" {
  command = plan
  variables {
    no_proxy = "example.com"
  }
  expect_failures = [aws_lambda_function.broker]
}
