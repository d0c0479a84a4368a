# The function as the inputs say it: its settings, its environment, and the artifact's modes.

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
    error_message = "The function's defaults are not the contract's."
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
    error_message = "The environment holds something that was not given, or misses something that the policy relies on."
  }

  assert {
    condition     = aws_lambda_function.broker.reserved_concurrent_executions == null
    error_message = "Concurrency is reserved though nobody asked."
  }
}

run "everything_given_reaches_the_function" {
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
    })
    error_message = "The environment is not what was given."
  }

  assert {
    condition = [
      one(aws_lambda_function.broker.architectures), tostring(aws_lambda_function.broker.memory_size),
      tostring(aws_lambda_function.broker.timeout), one(aws_lambda_function.broker.logging_config).log_format,
      aws_lambda_function.broker.description, tostring(aws_lambda_function.broker.reserved_concurrent_executions),
    ] == ["x86_64", "256", "20", "JSON", "ours", "5"]
    error_message = "The function's settings are not what was given."
  }
}

run "from_s3_without_a_hash_nothing_is_made_up" {
  command = plan

  assert {
    condition     = [aws_lambda_function.broker.s3_bucket, aws_lambda_function.broker.s3_key, output.deployed_version] == ["zips", "broker.zip", "s3://zips/broker.zip"]
    error_message = "The function's code is not the object that was named."
  }
  assert {
    condition     = alltrue([for name in ["s3_object_version", "filename", "source_code_hash"] : aws_lambda_function.broker[name] == null])
    error_message = "Something was made up that nobody gave."
  }
  assert {
    condition     = length(terraform_data.release) == 0
    error_message = "A release is downloaded though none was named."
  }
}

# The hash of no bytes at all, in both spellings.
run "from_s3_with_a_hash_it_is_lambdas_hash" {
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
    error_message = "The pinned hash did not become Lambda's spelling of it."
  }
}

run "a_release_is_downloaded_for_arm64" {
  command = plan
  variables {
    lambda_artifact = { release_version = "v1.1.0" }
  }

  assert {
    condition     = endswith(aws_lambda_function.broker.filename, "/github-token-broker.zip") && terraform_data.release[0].input == aws_lambda_function.broker.filename
    error_message = "The arm64 zip is github-token-broker.zip."
  }
  assert {
    condition     = output.deployed_version == "v1.1.0"
    error_message = "deployed_version is not the release's tag."
  }
}

run "and_for_x86_64" {
  command = plan
  variables {
    architecture    = "x86_64"
    lambda_artifact = { release_version = "v1.1.0" }
  }

  assert {
    condition     = endswith(aws_lambda_function.broker.filename, "/github-token-broker-x86_64.zip")
    error_message = "The x86_64 zip is github-token-broker-x86_64.zip."
  }
}

run "a_zip_that_is_not_there_is_told_at_plan_time" {
  command = plan
  variables {
    lambda_artifact = { lambda_zip_path = "no/such/file.zip" }
  }
  expect_failures = [aws_lambda_function.broker]
}

run "so_is_a_file_that_is_no_zip" {
  command = plan
  variables {
    lambda_artifact = { lambda_zip_path = "main.tf" }
  }
  expect_failures = [aws_lambda_function.broker]
}
