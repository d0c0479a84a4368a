# Alarms, if `alarm_actions` is set, and a dashboard, if `dashboard` is true. Both need the broker's own metrics (embedded metric
# format in its log), whose namespace is `local.metrics_namespace`.

locals {
  has_alarms = length(var.alarm_actions) > 0

  # Alarms on one metric. One data point is enough for each: a broker that works has none of these.
  # The age of the key is known only while the broker is used, so a quiet hour leaves that alarm's state as it is.
  metric_alarms = { for name, alarm in {
    throttles = {
      description = "Lambda did not run ${var.function_name}: a concurrency limit is reached. Raise reserved_concurrent_executions, or mint less often."
      namespace   = "AWS/Lambda", metric = "Throttles", statistic = "Sum", comparison = "GreaterThanOrEqualToThreshold"
      threshold   = 1, period = 60, missing = "notBreaching"
    }
    unproven = {
      description = "Security event: GitHub granted ${var.function_name} a token that does not match its configured scope. The broker withheld the token and asked GitHub to revoke it. Find the log line with errorType TokenNotProven."
      namespace   = local.metrics_namespace, metric = "Unproven", statistic = "Sum", comparison = "GreaterThanOrEqualToThreshold"
      threshold   = 1, period = 60, missing = "notBreaching"
    }
    key-age = local.signs_with_kms ? null : {
      description = "The private key that ${var.function_name} reads is at least ${var.alarm_thresholds.private_key_age_days} days old. Rotate it."
      namespace   = local.metrics_namespace, metric = "PrivateKeyAgeDays", statistic = "Maximum", comparison = "GreaterThanOrEqualToThreshold"
      threshold   = var.alarm_thresholds.private_key_age_days, period = 3600, missing = "ignore"
    }
    github-rate-limit = {
      description = "GitHub allows the App of ${var.function_name} at most ${var.alarm_thresholds.github_rate_limit_remaining} more requests until its rate limit resets. Find out what mints so often."
      namespace   = local.metrics_namespace, metric = "GitHubRateLimitRemaining", statistic = "Minimum", comparison = "LessThanOrEqualToThreshold"
      threshold   = var.alarm_thresholds.github_rate_limit_remaining, period = 300, missing = "notBreaching"
    }
  } : name => alarm if local.has_alarms && alarm != null }

  signing_role_arns = length(var.signing_role_arns) > 0 ? var.signing_role_arns : [aws_iam_role.lambda.arn]

  # CloudTrail's name of the role behind a session. An event without it (an IAM user, another account) is not of an expected role.
  session_role = "$.userIdentity.sessionContext.sessionIssuer.arn"

  foreign_signature_pattern = join(" && ", [
    "{ ($.eventSource = \"kms.amazonaws.com\")",
    "($.eventName = \"Sign\")",
    "($.errorCode NOT EXISTS)",
    "(($.requestParameters.dryRun NOT EXISTS) || ($.requestParameters.dryRun IS FALSE))",
    "(${join(" || ", [for arn in var.signing_key_arns : "($.resources[0].ARN = \"${arn}\")"])})",
    "((${local.session_role} NOT EXISTS) || (${join(" && ", [for arn in local.signing_role_arns : "(${local.session_role} != \"${arn}\")"])})) }",
  ])
}

resource "aws_cloudwatch_metric_alarm" "broker" {
  for_each = local.metric_alarms

  alarm_name          = "${var.function_name}-${each.key}"
  alarm_description   = each.value.description
  alarm_actions       = var.alarm_actions
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = { FunctionName = aws_lambda_function.broker.function_name }
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = 1
  threshold           = each.value.threshold
  comparison_operator = each.value.comparison
  treat_missing_data  = each.value.missing
  tags                = var.tags
}

# Lambda counts a rejected payload as an error, but it is the caller's mistake. The broker counts those as `Refused`.
resource "aws_cloudwatch_metric_alarm" "errors" {
  count = local.has_alarms ? 1 : 0

  alarm_name          = "${var.function_name}-errors"
  alarm_description   = "An invocation of ${var.function_name} failed, not counting rejected payloads. Find the log line with level ERROR; its errorType names the cause."
  alarm_actions       = var.alarm_actions
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  tags                = var.tags

  metric_query {
    id          = "failed"
    expression  = "errors - FILL(refused, 0)"
    label       = "Failed invocations"
    return_data = true
  }

  metric_query {
    id = "errors"

    metric {
      namespace   = "AWS/Lambda"
      metric_name = "Errors"
      dimensions  = { FunctionName = aws_lambda_function.broker.function_name }
      stat        = "Sum"
      period      = 60
    }
  }

  metric_query {
    id = "refused"

    metric {
      namespace   = local.metrics_namespace
      metric_name = "Refused"
      dimensions  = { FunctionName = aws_lambda_function.broker.function_name }
      stat        = "Sum"
      period      = 60
    }
  }
}

# --- A signature by someone else -----------------------------------------------------------------------------------------

# Counts successful Sign calls with one of the keys by a principal that is not one of the expected roles. A dry run signs nothing.
resource "aws_cloudwatch_log_metric_filter" "foreign_signatures" {
  count = var.cloudtrail_log_group_name == null ? 0 : 1

  name           = "${var.function_name}-foreign-signatures"
  log_group_name = var.cloudtrail_log_group_name

  pattern = local.foreign_signature_pattern

  metric_transformation {
    namespace = local.metrics_namespace
    name      = "ForeignSignatures-${var.function_name}"
    value     = "1"
  }

  lifecycle {
    precondition {
      condition     = length(local.foreign_signature_pattern) <= 1024
      error_message = "signing_key_arns and signing_role_arns are too long for one metric filter: CloudWatch allows 1,024 characters. Create the filter outside this module."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "foreign_signatures" {
  count = var.cloudtrail_log_group_name == null ? 0 : 1

  alarm_name          = "${var.function_name}-foreign-signatures"
  alarm_description   = "Security event: a principal that is not in signing_role_arns signed with the KMS key of ${var.function_name}. It can mint tokens for every installation of the App. Find the Sign event in CloudTrail."
  alarm_actions       = var.alarm_actions
  namespace           = local.metrics_namespace
  metric_name         = "ForeignSignatures-${var.function_name}"
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  tags                = var.tags

  depends_on = [aws_cloudwatch_log_metric_filter.foreign_signatures]
}

# --- The dashboard -------------------------------------------------------------------------------------------------------

locals {
  # Each widget: title, metrics, statistic. A metric is its namespace and name; all are of this function.
  dashboard_charts = [
    ["Tokens minted", [[local.metrics_namespace, "Minted"]], "Sum"],
    ["Failed and rejected", [[local.metrics_namespace, "Failed"], [local.metrics_namespace, "Refused"], [local.metrics_namespace, "Unproven"]], "Sum"],
    ["Lambda errors and throttles", [["AWS/Lambda", "Errors"], ["AWS/Lambda", "Throttles"]], "Sum"],
    ["Latency, 99th percentile (ms)", [[local.metrics_namespace, "Latency"], ["AWS/Lambda", "Duration"]], "p99"],
    ["Private key in SSM, age in days", [[local.metrics_namespace, "PrivateKeyAgeDays"]], "Maximum"],
    ["GitHub requests left this hour", [[local.metrics_namespace, "GitHubRateLimitRemaining"]], "Minimum"],
  ]
  dashboard_queries = [
    ["Failures by type", "filter ispresent(errorType) | stats count() as failures by errorType, retryable | sort failures desc"],
    ["Security events and possibly orphaned tokens", "filter security_event = 1 or orphaned_token_possible = 1 | fields @timestamp, aws_request_id, errorType, token_hash, token_revoked | sort @timestamp desc | limit 20"],
  ]
}

resource "aws_cloudwatch_dashboard" "broker" {
  count = var.dashboard ? 1 : 0

  dashboard_name = var.function_name

  dashboard_body = jsonencode({
    widgets = concat(
      [for i, chart in local.dashboard_charts : {
        type   = "metric"
        x      = i % 3 * 8
        y      = floor(i / 3) * 6
        width  = 8
        height = 6
        properties = {
          title   = chart[0]
          region  = local.region
          stat    = chart[2]
          period  = 300
          metrics = [for metric in chart[1] : [metric[0], metric[1], "FunctionName", var.function_name]]
        }
      }],
      [for i, query in local.dashboard_queries : {
        type   = "log"
        x      = i * 12
        y      = 12
        width  = 12
        height = 6
        properties = {
          title  = query[0]
          region = local.region
          query  = "SOURCE '${local.log_group_name}' | ${query[1]}"
          view   = "table"
        }
      }],
    )
  })
}
