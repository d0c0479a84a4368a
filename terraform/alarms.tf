# Alarms, only when `alarm_actions` is set. One data point is enough for each: a broker that works has none of these.

locals {
  # What is watched: CloudWatch's namespace and metric, and what a reader of the alarm should know.
  alarms = length(var.alarm_actions) == 0 ? {} : {
    for name, alarm in {
      errors    = ["AWS/Lambda", "Errors", "An invocation of ${var.function_name} failed; its log names the error."]
      throttles = ["AWS/Lambda", "Throttles", "Lambda refused to run ${var.function_name}: concurrency limit reached."]
      unproven  = [var.metrics_namespace, "Unproven", "GitHub gave ${var.function_name} a token that is not as narrow as configured. It was not returned, and its revocation was asked for."]
    } : name => alarm if alarm[0] != null
  }
}

resource "aws_cloudwatch_metric_alarm" "broker" {
  for_each = local.alarms

  alarm_name          = "${var.function_name}-${each.key}"
  alarm_description   = each.value[2]
  alarm_actions       = var.alarm_actions
  namespace           = each.value[0]
  metric_name         = each.value[1]
  dimensions          = { FunctionName = aws_lambda_function.broker.function_name }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  tags                = var.tags
}
