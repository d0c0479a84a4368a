# The alarms and the dashboard.

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
    defaults = { arn = "arn:aws:lambda:eu-west-1:123456789012:function:broker" }
  }
}

variables {
  function_name    = "broker"
  repository_owner = "your-org"
  repository_name  = "your-repo"
  lambda_artifact  = { lambda_source_s3 = { bucket = "zips", key = "broker.zip" } }
}

run "each_alarm_watches_its_metric" {
  command = plan
  variables {
    alarm_actions = ["arn:aws:sns:eu-west-1:123456789012:on-call"]
  }

  assert {
    condition = { for name, alarm in aws_cloudwatch_metric_alarm.broker : name => [
      alarm.namespace, alarm.metric_name, alarm.statistic, alarm.comparison_operator, tostring(alarm.threshold), alarm.treat_missing_data,
      ] } == {
      throttles         = ["AWS/Lambda", "Throttles", "Sum", "GreaterThanOrEqualToThreshold", "1", "notBreaching"]
      unproven          = ["GitHubTokenBroker", "Unproven", "Sum", "GreaterThanOrEqualToThreshold", "1", "notBreaching"]
      key-age           = ["GitHubTokenBroker", "PrivateKeyAgeDays", "Maximum", "GreaterThanOrEqualToThreshold", "365", "ignore"]
      github-rate-limit = ["GitHubTokenBroker", "GitHubRateLimitRemaining", "Minimum", "LessThanOrEqualToThreshold", "500", "notBreaching"]
    }
    error_message = "An alarm watches a different metric, or triggers at a different value."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.broker : alarm.dimensions == tomap({ FunctionName = "broker" })])
    error_message = "An alarm watches the metric of a different function."
  }

  assert {
    condition = alltrue([for alarm in concat(values(aws_cloudwatch_metric_alarm.broker), aws_cloudwatch_metric_alarm.errors) :
      tolist(alarm.alarm_actions) == tolist(["arn:aws:sns:eu-west-1:123456789012:on-call"])
    ])
    error_message = "An alarm notifies nobody."
  }
}

run "a_rejected_payload_does_not_trigger_the_errors_alarm" {
  command = plan
  variables {
    alarm_actions     = ["arn:aws:sns:eu-west-1:123456789012:on-call"]
    metrics_namespace = "Brokers"
  }

  assert {
    condition     = [for query in aws_cloudwatch_metric_alarm.errors[0].metric_query : query.expression if coalesce(query.return_data, false)] == ["errors - FILL(refused, 0)"]
    error_message = "The errors alarm does not subtract rejected payloads."
  }

  assert {
    condition = { for query in aws_cloudwatch_metric_alarm.errors[0].metric_query : query.id => [
      query.metric[0].namespace, query.metric[0].metric_name, query.metric[0].stat, query.metric[0].dimensions["FunctionName"],
      ] if length(query.metric) > 0 } == {
      errors  = ["AWS/Lambda", "Errors", "Sum", "broker"]
      refused = ["Brokers", "Refused", "Sum", "broker"]
    }
    error_message = "The errors alarm watches different metrics."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.errors[0].threshold == 1 && aws_cloudwatch_metric_alarm.errors[0].comparison_operator == "GreaterThanOrEqualToThreshold"
    error_message = "One failed invocation does not trigger the alarm."
  }
}

run "thresholds_can_be_changed" {
  command = plan
  variables {
    alarm_actions    = ["arn:aws:sns:eu-west-1:123456789012:on-call"]
    alarm_thresholds = { private_key_age_days = 90 }
  }

  assert {
    condition     = [aws_cloudwatch_metric_alarm.broker["key-age"].threshold, aws_cloudwatch_metric_alarm.broker["github-rate-limit"].threshold] == [90, 500]
    error_message = "The thresholds differ from the input and the default."
  }
}

run "a_key_in_kms_has_no_age_in_ssm" {
  command = plan
  variables {
    alarm_actions    = ["arn:aws:sns:eu-west-1:123456789012:on-call"]
    signing_key_arns = ["arn:aws:kms:eu-west-1:123456789012:key/1"]
  }

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.broker) == ["github-rate-limit", "throttles", "unproven"]
    error_message = "An alarm watches the age of a key that is not read."
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.foreign_signatures) == 0
    error_message = "The foreign-signatures alarm exists without a CloudTrail log group."
  }
}

run "without_alarm_actions_there_are_no_alarms" {
  command = plan
  variables {
    metrics_namespace = "Brokers"
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.broker) + length(aws_cloudwatch_metric_alarm.errors) == 0
    error_message = "The module creates an alarm that notifies nobody."
  }
}

run "a_signature_by_a_foreign_principal_triggers_an_alarm" {
  command = apply
  variables {
    alarm_actions             = ["arn:aws:sns:eu-west-1:123456789012:on-call"]
    signing_key_arns          = ["arn:aws:kms:eu-west-1:123456789012:key/1", "arn:aws:kms:eu-west-1:123456789012:key/2"]
    cloudtrail_log_group_name = "cloudtrail/management"
  }

  assert {
    condition = aws_cloudwatch_log_metric_filter.foreign_signatures[0].pattern == join("", [
      "{ ($.eventSource = \"kms.amazonaws.com\") && ($.eventName = \"Sign\") && ($.errorCode NOT EXISTS)",
      " && (($.requestParameters.dryRun NOT EXISTS) || ($.requestParameters.dryRun IS FALSE))",
      " && (($.resources[0].ARN = \"arn:aws:kms:eu-west-1:123456789012:key/1\") || ($.resources[0].ARN = \"arn:aws:kms:eu-west-1:123456789012:key/2\"))",
      " && (($.userIdentity.sessionContext.sessionIssuer.arn NOT EXISTS) || (($.userIdentity.sessionContext.sessionIssuer.arn != \"arn:aws:iam::123456789012:role/broker\"))) }",
    ])
    error_message = "The filter does not match exactly the signatures of principals outside the expected roles."
  }

  assert {
    condition     = aws_cloudwatch_log_metric_filter.foreign_signatures[0].log_group_name == "cloudtrail/management" && one(aws_cloudwatch_log_metric_filter.foreign_signatures[0].metric_transformation).name == aws_cloudwatch_metric_alarm.foreign_signatures[0].metric_name && one(aws_cloudwatch_log_metric_filter.foreign_signatures[0].metric_transformation).namespace == aws_cloudwatch_metric_alarm.foreign_signatures[0].namespace
    error_message = "The alarm does not watch the filter's metric."
  }
}

run "brokers_that_share_a_key_are_expected_signers" {
  command = plan
  variables {
    alarm_actions             = ["arn:aws:sns:eu-west-1:123456789012:on-call"]
    signing_key_arns          = ["arn:aws:kms:eu-west-1:123456789012:key/1"]
    cloudtrail_log_group_name = "cloudtrail"
    signing_role_arns         = ["arn:aws:iam::123456789012:role/broker", "arn:aws:iam::123456789012:role/other"]
  }

  assert {
    condition     = strcontains(aws_cloudwatch_log_metric_filter.foreign_signatures[0].pattern, "(($.userIdentity.sessionContext.sessionIssuer.arn != \"arn:aws:iam::123456789012:role/broker\") && ($.userIdentity.sessionContext.sessionIssuer.arn != \"arn:aws:iam::123456789012:role/other\"))")
    error_message = "The filter does not exclude both roles."
  }
}

run "a_filter_that_is_too_long_for_cloudwatch" {
  command = plan
  variables {
    alarm_actions             = ["arn:aws:sns:eu-west-1:123456789012:on-call"]
    signing_key_arns          = ["arn:aws:kms:eu-west-1:123456789012:key/1"]
    cloudtrail_log_group_name = "cloudtrail"
    signing_role_arns         = ["arn:aws:iam::123456789012:role/broker-0", "arn:aws:iam::123456789012:role/broker-1", "arn:aws:iam::123456789012:role/broker-2", "arn:aws:iam::123456789012:role/broker-3", "arn:aws:iam::123456789012:role/broker-4", "arn:aws:iam::123456789012:role/broker-5", "arn:aws:iam::123456789012:role/broker-6", "arn:aws:iam::123456789012:role/broker-7"]
  }
  expect_failures = [aws_cloudwatch_log_metric_filter.foreign_signatures]
}

run "the_foreign_signature_alarm_needs_a_key" {
  command = plan
  variables {
    alarm_actions             = ["arn:aws:sns:eu-west-1:123456789012:on-call"]
    cloudtrail_log_group_name = "cloudtrail"
  }
  expect_failures = [aws_lambda_function.broker]
}

run "the_foreign_signature_alarm_needs_someone_to_notify" {
  command = plan
  variables {
    signing_key_arns          = ["arn:aws:kms:eu-west-1:123456789012:key/1"]
    cloudtrail_log_group_name = "cloudtrail"
  }
  expect_failures = [aws_lambda_function.broker]
}

run "signing_roles_without_the_alarm_have_no_effect" {
  command = plan
  variables {
    signing_role_arns = ["arn:aws:iam::123456789012:role/broker"]
  }
  expect_failures = [aws_lambda_function.broker]
}

run "the_dashboard_shows_the_brokers_metrics" {
  command = plan
  variables {
    dashboard         = true
    metrics_namespace = "Brokers"
  }

  assert {
    condition = distinct(flatten([for widget in jsondecode(aws_cloudwatch_dashboard.broker[0].dashboard_body).widgets : [
      for metric in widget.properties.metrics : "${metric[0]} ${metric[1]} ${metric[2]} ${metric[3]}"
      ] if widget.type == "metric"])) == tolist([for name in [
      "Brokers Minted", "Brokers Failed", "Brokers Refused", "Brokers Unproven", "AWS/Lambda Errors", "AWS/Lambda Throttles", "Brokers Latency",
      "AWS/Lambda Duration", "Brokers PrivateKeyAgeDays", "Brokers GitHubRateLimitRemaining",
    ] : "${name} FunctionName broker"])
    error_message = "The dashboard shows different metrics."
  }

  assert {
    condition     = alltrue([for widget in jsondecode(aws_cloudwatch_dashboard.broker[0].dashboard_body).widgets : startswith(widget.properties.query, "SOURCE '/aws/lambda/broker' | ") if widget.type == "log"])
    error_message = "The dashboard reads a different log group."
  }
}
