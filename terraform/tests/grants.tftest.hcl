# What the module makes, and exactly what it grants. The policies are compared whole: one action, resource or condition more
# or less fails. `apply` (against mocks) where a policy holds an ARN that is only known then.

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

run "the_role_may_read_three_parameters_and_write_its_log" {
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
    error_message = "The role's policy is not exactly what the contract says."
  }

  assert {
    condition = jsondecode(aws_iam_role.lambda.assume_role_policy) == {
      Version   = "2012-10-17"
      Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
    }
    error_message = "Someone other than Lambda may assume the role."
  }

  assert {
    condition     = aws_iam_role.lambda.name == "broker" && aws_iam_role_policy.lambda.name == "broker-policy"
    error_message = "The role and its policy are not named after the function."
  }

  assert {
    condition     = length(aws_lambda_permission.invoker) == 0 && length(aws_cloudwatch_metric_alarm.broker) == 0
    error_message = "Something is made that nobody asked for."
  }

  assert {
    condition     = aws_cloudwatch_log_group.lambda.name == "/aws/lambda/broker" && aws_cloudwatch_log_group.lambda.retention_in_days == 30
    error_message = "The log group is not Lambda's own, or its retention is not 30 days."
  }
}

run "a_customer_key_adds_decrypt_for_this_parameter_through_ssm_only" {
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
    error_message = "kms:Decrypt is not narrowed to SSM and to the one parameter."
  }

  assert {
    condition     = length(jsondecode(aws_iam_role_policy.lambda.policy).Statement) == 3
    error_message = "There are statements beside parameters, key and log."
  }

  assert {
    condition     = length(regexall("[*]", aws_iam_role_policy.lambda.policy)) == 1
    error_message = "There is a wildcard beside the log streams'."
  }
}

run "callers_may_invoke_and_nothing_more" {
  command = apply
  variables {
    invoker_role_arns = ["arn:aws:iam::123456789012:role/ci", "arn:aws:iam::210987654321:role/path/release"]
  }

  assert {
    condition = [for permission in aws_lambda_permission.invoker : [permission.action, permission.function_name, permission.principal]] == [
      ["lambda:InvokeFunction", "broker", "arn:aws:iam::123456789012:role/ci"],
      ["lambda:InvokeFunction", "broker", "arn:aws:iam::210987654321:role/path/release"],
    ]
    error_message = "The roles are not given exactly lambda:InvokeFunction."
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
    error_message = "invoke_policy_json allows something else than invoking this function."
  }
}

run "a_boundary_and_a_key_for_the_log" {
  command = plan
  variables {
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
    log_group_kms_key_arn    = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd"
    log_retention_days       = 0
    tags                     = { team = "platform" }
  }

  assert {
    condition     = aws_iam_role.lambda.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"
    error_message = "The boundary did not reach the role."
  }
  assert {
    condition     = aws_cloudwatch_log_group.lambda.kms_key_id == "arn:aws:kms:eu-west-1:123456789012:key/1234abcd" && aws_cloudwatch_log_group.lambda.retention_in_days == 0
    error_message = "The key or the retention did not reach the log group."
  }
  assert {
    condition = alltrue([for tags in [
      aws_lambda_function.broker.tags, aws_iam_role.lambda.tags, aws_cloudwatch_log_group.lambda.tags,
    ] : tags == tomap({ team = "platform" })])
    error_message = "The tags did not reach everything that can carry them."
  }
}

run "alarms_on_errors_and_throttles" {
  command = plan
  variables {
    alarm_actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"]
  }

  assert {
    condition = { for name, alarm in aws_cloudwatch_metric_alarm.broker : name => [alarm.namespace, alarm.metric_name, alarm.dimensions["FunctionName"]] } == {
      errors    = ["AWS/Lambda", "Errors", "broker"]
      throttles = ["AWS/Lambda", "Throttles", "broker"]
    }
    error_message = "The alarms are not on Lambda's errors and throttles."
  }
}

run "and_on_unproven_tokens_when_there_are_metrics" {
  command = plan
  variables {
    alarm_actions     = ["arn:aws:sns:eu-west-1:123456789012:on-call"]
    metrics_namespace = "Brokers"
  }

  assert {
    condition     = [for key in ["namespace", "metric_name", "statistic", "comparison_operator", "treat_missing_data"] : aws_cloudwatch_metric_alarm.broker["unproven"][key]] == ["Brokers", "Unproven", "Sum", "GreaterThanOrEqualToThreshold", "notBreaching"]
    error_message = "The alarm on unproven tokens does not watch the broker's own metric."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.broker["unproven"].threshold == 1 && tolist(aws_cloudwatch_metric_alarm.broker["unproven"].alarm_actions) == tolist(["arn:aws:sns:eu-west-1:123456789012:on-call"])
    error_message = "One unproven token must be enough to notify."
  }
}

run "no_alarm_without_someone_to_notify" {
  command = plan
  variables {
    metrics_namespace = "Brokers"
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.broker) == 0
    error_message = "An alarm that notifies nobody was made."
  }
}
