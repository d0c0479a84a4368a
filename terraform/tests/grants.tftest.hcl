# What the module creates, and exactly what it grants. The policies are compared as a whole: one action, resource or condition more or
# less fails. A run applies (with mocks) if a policy contains an ARN that is known only then.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws-us-gov", dns_suffix = "amazonaws.com" }
  }
  mock_data "aws_region" {
    defaults = { id = "us-gov-west-1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws-us-gov:iam::123456789012:role/broker" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:broker" }
  }
}

variables {
  function_name    = "broker"
  repository_owner = "your-org"
  repository_name  = "your-repo"
  lambda_artifact  = { lambda_source_s3 = { bucket = "zips", key = "broker.zip" } }
}

run "by_default_the_role_reads_three_parameters_and_writes_its_log" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role_policy.lambda.policy) == {
      Version = "2012-10-17"
      Statement = [
        {
          Sid    = "ReadAppCredentials"
          Effect = "Allow"
          Action = ["ssm:GetParameters"]
          Resource = [
            "arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/github-token-broker/app/client-id",
            "arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/github-token-broker/app/installation-id",
            "arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/github-token-broker/app/private-key-pem",
          ]
        },
        {
          Sid      = "WriteLogs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["arn:aws-us-gov:logs:us-gov-west-1:123456789012:log-group:/aws/lambda/broker:*"]
        },
      ]
    }
    error_message = "The role's policy differs from the contract."
  }

  assert {
    condition = jsondecode(aws_iam_role.lambda.assume_role_policy) == {
      Version   = "2012-10-17"
      Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
    }
    error_message = "A principal other than Lambda is allowed to assume the role."
  }

  assert {
    condition     = aws_iam_role.lambda.name == "broker" && aws_iam_role_policy.lambda.name == "broker-policy"
    error_message = "The role and its policy are not named after the function."
  }

  assert {
    condition = length(aws_lambda_permission.invoker) + length(aws_cloudwatch_metric_alarm.broker) + length(aws_cloudwatch_metric_alarm.errors) + length(
      aws_cloudwatch_metric_alarm.foreign_signatures) + length(aws_cloudwatch_log_metric_filter.foreign_signatures) + length(aws_cloudwatch_dashboard.broker
    ) == 0
    error_message = "The module creates more than the function, its role, its policy and its log group."
  }

  assert {
    condition     = aws_cloudwatch_log_group.lambda.name == "/aws/lambda/broker" && aws_cloudwatch_log_group.lambda.retention_in_days == 30
    error_message = "The log group does not have Lambda's name, or its retention is not 30 days."
  }
}

run "a_customer_key_adds_decrypt_for_the_private_key_through_ssm_only" {
  command = plan
  variables {
    kms_key_arn         = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1234abcd"
    ssm_parameter_paths = { private_key = "/team/key.pem" }
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.lambda.policy).Statement : statement if statement.Sid == "DecryptPrivateKey"] == [{
      Sid      = "DecryptPrivateKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = ["arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1234abcd"]
      Condition = {
        StringEquals = {
          "kms:ViaService"                      = "ssm.us-gov-west-1.amazonaws.com"
          "kms:EncryptionContext:PARAMETER_ARN" = "arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/team/key.pem"
        }
      }
    }]
    error_message = "kms:Decrypt is not limited to SSM and to the one parameter."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.lambda.policy).Statement : statement.Sid] == ["ReadAppCredentials", "DecryptPrivateKey", "WriteLogs"]
    error_message = "The policy has more statements than parameters, key and log."
  }

  assert {
    condition     = length(regexall("[*]", aws_iam_role_policy.lambda.policy)) == 1
    error_message = "The policy has a wildcard in addition to the log streams."
  }
}

run "with_kms_and_plain_ids_the_role_signs_and_reads_nothing" {
  command = plan
  variables {
    client_id        = "Iv23liAbCdEfGhIjKlMn"
    installation_id  = "12345678"
    signing_key_arns = ["arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/new", "arn:aws-us-gov:kms:us-gov-east-1:210987654321:key/mrk-old"]
    kms_key_arn      = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1234abcd"
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.lambda.policy) == {
      Version = "2012-10-17"
      Statement = [
        {
          Sid      = "SignAppJwt"
          Effect   = "Allow"
          Action   = ["kms:Sign"]
          Resource = ["arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/new", "arn:aws-us-gov:kms:us-gov-east-1:210987654321:key/mrk-old"]
          Condition = {
            StringEquals = {
              "kms:SigningAlgorithm" = "RSASSA_PKCS1_V1_5_SHA_256"
              "kms:MessageType"      = "RAW"
            }
          }
        },
        {
          Sid      = "WriteLogs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["arn:aws-us-gov:logs:us-gov-west-1:123456789012:log-group:/aws/lambda/broker:*"]
        },
      ]
    }
    error_message = "The policy grants more than signing and logging, or decrypts although no parameter is read."
  }
}

run "with_a_signing_key_only_the_other_parameters_are_readable" {
  command = plan
  variables {
    signing_key_arns = ["arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/new"]
    installation_id  = "12345678"
    kms_key_arn      = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1234abcd"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.lambda.policy).Statement : statement.Resource if statement.Sid == "ReadAppCredentials"] == [
      ["arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/github-token-broker/app/client-id"],
    ]
    error_message = "The policy does not grant exactly the parameter that the function reads."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.lambda.policy).Statement : statement.Condition.StringEquals["kms:EncryptionContext:PARAMETER_ARN"] if statement.Sid == "DecryptPrivateKey"] == [
      ["arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/github-token-broker/app/client-id"],
    ]
    error_message = "kms:Decrypt is not limited to the parameter that the function reads."
  }
}

run "a_secret_adds_exactly_that_secret" {
  command = plan
  variables {
    ssm_parameter_paths    = { private_key = "/aws/reference/secretsmanager/team/app-key" }
    private_key_secret_arn = "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:team/app-key-AbCdEf"
    kms_key_arn            = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1234abcd"
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.lambda.policy).Statement == [
      {
        Sid    = "ReadAppCredentials"
        Effect = "Allow"
        Action = ["ssm:GetParameters"]
        Resource = [
          "arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/github-token-broker/app/client-id",
          "arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/github-token-broker/app/installation-id",
          "arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/aws/reference/secretsmanager/team/app-key",
        ]
      },
      {
        Sid      = "ReadPrivateKeySecret"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = ["arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:team/app-key-AbCdEf"]
      },
      {
        Sid      = "DecryptPrivateKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt"]
        Resource = ["arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1234abcd"]
        Condition = {
          StringEquals = {
            "kms:ViaService"                  = "secretsmanager.us-gov-west-1.amazonaws.com"
            "kms:EncryptionContext:SecretARN" = "arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:team/app-key-AbCdEf"
          }
        }
      },
      {
        Sid      = "WriteLogs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["arn:aws-us-gov:logs:us-gov-west-1:123456789012:log-group:/aws/lambda/broker:*"]
      },
    ]
    error_message = "The policy for a secret differs from the contract."
  }
}

run "a_secret_needs_its_arn" {
  command = plan
  variables {
    ssm_parameter_paths = { private_key = "/aws/reference/secretsmanager/app-key" }
  }
  expect_failures = [aws_lambda_function.broker]
}

run "an_arn_needs_its_secret" {
  command = plan
  variables {
    private_key_secret_arn = "arn:aws:secretsmanager:us-gov-west-1:123456789012:secret:app-key-AbCdEf"
  }
  expect_failures = [aws_lambda_function.broker]
}

run "the_arn_must_be_of_that_secret" {
  command = plan
  variables {
    ssm_parameter_paths    = { private_key = "/aws/reference/secretsmanager/app-key" }
    private_key_secret_arn = "arn:aws:secretsmanager:us-gov-west-1:123456789012:secret:other-key-AbCdEf"
  }
  expect_failures = [aws_lambda_function.broker]
}

run "one_parameter_cannot_have_two_meanings" {
  command = plan
  variables {
    ssm_parameter_paths = { client_id = "/github-token-broker/app/installation-id" }
  }
  expect_failures = [aws_lambda_function.broker]
}

run "a_vpc_adds_the_network_interface_actions" {
  command = plan
  variables {
    vpc_config = { subnet_ids = ["subnet-0a"], security_group_ids = ["sg-0a"] }
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.lambda.policy).Statement : statement if !contains(["ReadAppCredentials", "WriteLogs"], statement.Sid)] == [{
      Sid    = "ManageNetworkInterfaces"
      Effect = "Allow"
      Action = [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
      ]
      Resource  = ["*"]
      Condition = { Null = { "lambda:SourceFunctionArn" = "true" } }
    }]
    error_message = "vpc_config does not add exactly the network-interface actions, for Lambda itself only."
  }
}

run "tracing_adds_the_xray_actions" {
  command = plan
  variables {
    tracing_mode = "PassThrough"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.lambda.policy).Statement : statement if !contains(["ReadAppCredentials", "WriteLogs"], statement.Sid)] == [{
      Sid      = "WriteTraces"
      Effect   = "Allow"
      Action   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
      Resource = ["*"]
    }]
    error_message = "tracing_mode does not add exactly the X-Ray actions."
  }
}

run "proxy_certificates_layers_and_concurrency_add_no_permission" {
  command = plan
  variables {
    https_proxy                    = "http://proxy.example.com:3128"
    no_proxy                       = "example.com"
    ca_certificates_path           = "/opt/ca.pem"
    layers                         = ["arn:aws:lambda:eu-west-1:123456789012:layer:ca:3"]
    reserved_concurrent_executions = 1
    dashboard                      = true
    alarm_actions                  = ["arn:aws:sns:eu-west-1:123456789012:on-call"]
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.lambda.policy).Statement : statement.Sid] == ["ReadAppCredentials", "WriteLogs"]
    error_message = "An opt-in adds a permission that it does not need."
  }
}

run "callers_are_allowed_to_invoke_and_nothing_more" {
  command = apply
  variables {
    invoker_role_arns = { ci = "arn:aws:iam::123456789012:role/ci", release = "arn:aws:iam::210987654321:role/path/release" }
  }

  assert {
    condition = { for name, permission in aws_lambda_permission.invoker : name => [permission.statement_id, permission.action, permission.function_name, permission.principal] } == {
      ci      = ["invoker-ci", "lambda:InvokeFunction", "broker", "arn:aws:iam::123456789012:role/ci"]
      release = ["invoker-release", "lambda:InvokeFunction", "broker", "arn:aws:iam::210987654321:role/path/release"]
    }
    error_message = "The roles are not granted exactly lambda:InvokeFunction."
  }

  assert {
    condition = jsondecode(output.invoke_policy_json) == {
      Version = "2012-10-17"
      Statement = [{
        Sid      = "InvokeGitHubTokenBroker"
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = ["arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:broker"]
      }]
    }
    error_message = "invoke_policy_json allows more than invoking this function."
  }
}

run "boundary_log_key_and_tags_reach_their_resources" {
  command = plan
  variables {
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
    log_group_kms_key_arn    = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd"
    log_retention_days       = 0
    tags                     = { team = "platform" }
    alarm_actions            = ["arn:aws:sns:eu-west-1:123456789012:on-call"]
  }

  assert {
    condition     = aws_iam_role.lambda.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"
    error_message = "The role has no permissions boundary."
  }
  assert {
    condition     = aws_cloudwatch_log_group.lambda.kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/1234abcd" && aws_cloudwatch_log_group.lambda.retention_in_days == 0
    error_message = "The log group does not have the key or the retention."
  }
  assert {
    condition = alltrue([for tags in concat(
      [aws_lambda_function.broker.tags, aws_iam_role.lambda.tags, aws_cloudwatch_log_group.lambda.tags, aws_cloudwatch_metric_alarm.errors[0].tags],
      [for alarm in aws_cloudwatch_metric_alarm.broker : alarm.tags],
    ) : tags == tomap({ team = "platform" })])
    error_message = "A resource lacks the tags."
  }
}
