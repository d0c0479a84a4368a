"""How each resource type of the stand-in provider is made in AWS: four functions for each, named `<verb>_<type>`.

In: the account's clients and planned values. Out: boto3 calls. What `read_...` leaves out is what AWS (moto) does not show.
"""

import json
from pathlib import Path

from rules import CODE


def _given(**arguments) -> dict:
    return {name: value for name, value in arguments.items() if value not in (None, [], {})}


def _pairs(tags: dict | None) -> list[dict]:
    return [{"Key": key, "Value": value} for key, value in (tags or {}).items()]


def _unpaired(tags: list[dict]) -> dict:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _gone(prior: dict, planned: dict) -> list[str]:
    return [key for key in prior["tags"] or {} if key not in (planned["tags"] or {})]


# IAM role and its inline policy


def create_aws_iam_role(aws, planned, _config):
    aws.iam.create_role(
        **_given(
            RoleName=planned["name"],
            Path=planned["path"],
            AssumeRolePolicyDocument=planned["assume_role_policy"],
            Description=planned["description"],
            MaxSessionDuration=planned["max_session_duration"],
            PermissionsBoundary=planned["permissions_boundary"],
            Tags=_pairs(planned["tags"]),
        )
    )


def read_aws_iam_role(aws, state):
    role = aws.iam.get_role(RoleName=state["name"])["Role"]
    return {
        "id": role["RoleName"],
        "arn": role["Arn"],
        "name": role["RoleName"],
        "name_prefix": "",
        "path": role["Path"],
        "unique_id": role["RoleId"],
        "create_date": role["CreateDate"].isoformat(),
        "description": role.get("Description", ""),
        "max_session_duration": role["MaxSessionDuration"],
        "permissions_boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
        "assume_role_policy": json.dumps(role["AssumeRolePolicyDocument"]),
        "managed_policy_arns": [],
        "tags": _unpaired(role.get("Tags", [])),
    }


def update_aws_iam_role(aws, prior, planned, _config):
    name = planned["name"]
    aws.iam.update_role(
        RoleName=name, Description=planned["description"] or "", MaxSessionDuration=planned["max_session_duration"]
    )
    aws.iam.update_assume_role_policy(RoleName=name, PolicyDocument=planned["assume_role_policy"])
    if planned["permissions_boundary"]:
        aws.iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=planned["permissions_boundary"])
    elif prior["permissions_boundary"]:
        aws.iam.delete_role_permissions_boundary(RoleName=name)
    aws.iam.untag_role(RoleName=name, TagKeys=_gone(prior, planned))
    aws.iam.tag_role(RoleName=name, Tags=_pairs(planned["tags"]))


def delete_aws_iam_role(aws, state):
    aws.iam.delete_role(RoleName=state["name"])


def create_aws_iam_role_policy(aws, planned, _config):
    aws.iam.put_role_policy(RoleName=planned["role"], PolicyName=planned["name"], PolicyDocument=planned["policy"])


def read_aws_iam_role_policy(aws, state):
    policy = aws.iam.get_role_policy(RoleName=state["role"], PolicyName=state["name"])
    return {
        "id": f"{state['role']}:{state['name']}",
        "name_prefix": "",
        "policy": json.dumps(policy["PolicyDocument"]),
    }


def update_aws_iam_role_policy(aws, _prior, planned, config):
    create_aws_iam_role_policy(aws, planned, config)


def delete_aws_iam_role_policy(aws, state):
    aws.iam.delete_role_policy(RoleName=state["role"], PolicyName=state["name"])


# Log group


def create_aws_cloudwatch_log_group(aws, planned, _config):
    aws.logs.create_log_group(
        **_given(logGroupName=planned["name"], kmsKeyId=planned["kms_key_id"], tags=planned["tags"])
    )
    if planned["retention_in_days"]:
        aws.logs.put_retention_policy(logGroupName=planned["name"], retentionInDays=planned["retention_in_days"])


def read_aws_cloudwatch_log_group(aws, state):
    groups = aws.logs.describe_log_groups(logGroupNamePrefix=state["name"])["logGroups"]
    group = next((group for group in groups if group["logGroupName"] == state["name"]), None)
    if group is None:
        return None
    arn = group["arn"].removesuffix(":*")
    return {
        "id": group["logGroupName"],
        "arn": arn,
        "name_prefix": "",
        "log_group_class": group.get("logGroupClass", "STANDARD"),
        "deletion_protection_enabled": False,
        "kms_key_id": group.get("kmsKeyId", ""),
        "retention_in_days": group.get("retentionInDays", 0),
        "tags": aws.logs.list_tags_for_resource(resourceArn=arn)["tags"],
    }


def update_aws_cloudwatch_log_group(aws, prior, planned, _config):
    name = planned["name"]
    if planned["retention_in_days"]:
        aws.logs.put_retention_policy(logGroupName=name, retentionInDays=planned["retention_in_days"])
    else:
        aws.logs.delete_retention_policy(logGroupName=name)
    if planned["kms_key_id"] != prior["kms_key_id"]:
        if planned["kms_key_id"]:
            aws.logs.associate_kms_key(logGroupName=name, kmsKeyId=planned["kms_key_id"])
        else:
            aws.logs.disassociate_kms_key(logGroupName=name)
    if _gone(prior, planned):
        aws.logs.untag_resource(resourceArn=prior["arn"], tagKeys=_gone(prior, planned))
    if planned["tags"]:
        aws.logs.tag_resource(resourceArn=prior["arn"], tags=planned["tags"])


def delete_aws_cloudwatch_log_group(aws, state):
    aws.logs.delete_log_group(logGroupName=state["name"])


# Function and who may invoke it


def _code(planned):
    if planned["filename"]:
        return {"ZipFile": Path(planned["filename"]).read_bytes()}
    return _given(
        S3Bucket=planned["s3_bucket"], S3Key=planned["s3_key"], S3ObjectVersion=planned["s3_object_version"]
    )


def _configuration(planned):
    environment = planned["environment"][0]["variables"] if planned["environment"] else {}
    return {
        "FunctionName": planned["function_name"],
        "Role": planned["role"],
        "Runtime": planned["runtime"],
        "Handler": planned["handler"],
        "Description": planned["description"] or "",
        "MemorySize": planned["memory_size"] or 128,
        "Timeout": planned["timeout"] or 3,
        "Environment": {"Variables": environment or {}},
        "LoggingConfig": _given(
            LogFormat=planned["logging_config"][0]["log_format"], LogGroup=planned["logging_config"][0]["log_group"]
        )
        if planned["logging_config"]
        else {"LogFormat": "Text"},
    }


def create_aws_lambda_function(aws, planned, _config):
    function = getattr(aws, "lambda")
    function.create_function(
        **_configuration(planned),
        Code=_code(planned),
        Architectures=planned["architectures"] or ["x86_64"],
        Tags=planned["tags"] or {},
    )
    _reserve(function, planned)


def _reserve(function, planned):
    name, reserved = planned["function_name"], planned["reserved_concurrent_executions"]
    if reserved < 0:
        function.delete_function_concurrency(FunctionName=name)
    else:
        function.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)


def read_aws_lambda_function(aws, state):
    function = getattr(aws, "lambda").get_function(FunctionName=state["function_name"])
    shown = function["Configuration"]
    arn = shown["FunctionArn"]
    invoke = f"arn:aws:apigateway:{aws.region}:lambda:path/2015-03-31/functions/{{}}/invocations"
    variables = shown.get("Environment", {}).get("Variables", {})
    return {
        "id": shown["FunctionName"],
        "arn": arn,
        "invoke_arn": invoke.format(arn),
        "qualified_arn": f"{arn}:{shown['Version']}",
        "qualified_invoke_arn": invoke.format(f"{arn}:{shown['Version']}"),
        "version": shown["Version"],
        "role": shown["Role"],
        "runtime": shown["Runtime"],
        "handler": shown["Handler"],
        "description": shown.get("Description", ""),
        "memory_size": shown["MemorySize"],
        "timeout": shown["Timeout"],
        "architectures": shown["Architectures"],
        "environment": [{"variables": variables}] if variables else [],
        # Computed in the real provider: only where it is configured, a difference is drift.
        "logging_config": [_logging(shown["LoggingConfig"])] if state["logging_config"] else [],
        "code_sha256": shown["CodeSha256"],
        "source_code_size": shown["CodeSize"],
        "last_modified": shown["LastModified"],
        "signing_job_arn": "",
        "signing_profile_version_arn": "",
        "reserved_concurrent_executions": function.get("Concurrency", {}).get("ReservedConcurrentExecutions", -1),
        "tags": function.get("Tags", {}),
    }


def _logging(shown):
    return {
        "log_format": shown["LogFormat"],
        "log_group": shown["LogGroup"],
        "application_log_level": shown.get("ApplicationLogLevel"),
        "system_log_level": shown.get("SystemLogLevel"),
    }


def update_aws_lambda_function(aws, prior, planned, _config):
    function, name = getattr(aws, "lambda"), planned["function_name"]
    if any(planned[key] != prior[key] for key in CODE):
        function.update_function_code(FunctionName=name, Architectures=planned["architectures"], **_code(planned))
    function.update_function_configuration(**_configuration(planned))
    _reserve(function, planned)
    if _gone(prior, planned):
        function.untag_resource(Resource=prior["arn"], TagKeys=_gone(prior, planned))
    if planned["tags"]:
        function.tag_resource(Resource=prior["arn"], Tags=planned["tags"])


def delete_aws_lambda_function(aws, state):
    getattr(aws, "lambda").delete_function(FunctionName=state["function_name"])


def create_aws_lambda_permission(aws, planned, _config):
    getattr(aws, "lambda").add_permission(
        **_given(
            FunctionName=planned["function_name"],
            StatementId=planned["statement_id"],
            Action=planned["action"],
            Principal=planned["principal"],
        )
    )


def read_aws_lambda_permission(aws, state):
    policy = json.loads(getattr(aws, "lambda").get_policy(FunctionName=state["function_name"])["Policy"])
    statement = next((s for s in policy["Statement"] if s["Sid"] == state["statement_id"]), None)
    if statement is None:
        return None
    principal = statement["Principal"]
    return {
        "id": statement["Sid"],
        "statement_id_prefix": "",
        "action": statement["Action"],
        "principal": principal if isinstance(principal, str) else next(iter(principal.values())),
    }


def delete_aws_lambda_permission(aws, state):
    getattr(aws, "lambda").remove_permission(FunctionName=state["function_name"], StatementId=state["statement_id"])


# Alarm


def create_aws_cloudwatch_metric_alarm(aws, planned, _config):
    aws.cloudwatch.put_metric_alarm(
        **_given(
            AlarmName=planned["alarm_name"],
            AlarmDescription=planned["alarm_description"],
            AlarmActions=planned["alarm_actions"],
            Namespace=planned["namespace"],
            MetricName=planned["metric_name"],
            Dimensions=[{"Name": name, "Value": value} for name, value in (planned["dimensions"] or {}).items()],
            Statistic=planned["statistic"],
            Period=planned["period"],
            EvaluationPeriods=planned["evaluation_periods"],
            Threshold=planned["threshold"],
            ComparisonOperator=planned["comparison_operator"],
            TreatMissingData=planned["treat_missing_data"],
            Tags=_pairs(planned["tags"]),
        )
    )


def read_aws_cloudwatch_metric_alarm(aws, state):
    alarms = aws.cloudwatch.describe_alarms(AlarmNames=[state["alarm_name"]])["MetricAlarms"]
    if not alarms:
        return None
    alarm = alarms[0]
    return {
        "id": alarm["AlarmName"],
        "arn": alarm["AlarmArn"],
        "evaluate_low_sample_count_percentiles": "",
        "alarm_actions": alarm["AlarmActions"],
        "namespace": alarm["Namespace"],
        "metric_name": alarm["MetricName"],
        "dimensions": {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]},
        "threshold": alarm["Threshold"],
        "tags": _unpaired(aws.cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]),
    }


def update_aws_cloudwatch_metric_alarm(aws, _prior, planned, config):
    create_aws_cloudwatch_metric_alarm(aws, planned, config)


def delete_aws_cloudwatch_metric_alarm(aws, state):
    aws.cloudwatch.delete_alarms(AlarmNames=[state["alarm_name"]])


# Parameter


def create_aws_ssm_parameter(aws, planned, config, overwrite=False):
    given = [config[name] for name in ("value_wo", "value", "insecure_value") if config.get(name) is not None]
    aws.ssm.put_parameter(
        **_given(
            Name=planned["name"],
            Type=planned["type"],
            Value=given[0],
            KeyId=config.get("key_id"),
            Description=planned["description"],
            Overwrite=overwrite,
        )
    )


def read_aws_ssm_parameter(aws, state):
    shown = aws.ssm.get_parameter(Name=state["name"], WithDecryption=True)["Parameter"]
    write_only = state["value_wo_version"] is not None
    return {
        "id": shown["Name"],
        "arn": shown["ARN"],
        "type": shown["Type"],
        "version": shown["Version"],
        "value": "" if write_only else shown["Value"],
        "insecure_value": "",
        "has_value_wo": write_only,
        "data_type": shown.get("DataType", "text"),
        "tier": "Standard",
        **({} if isinstance(state["key_id"], str) else {"key_id": ""}),
        "tags": {},
    }


def update_aws_ssm_parameter(aws, _prior, planned, config):
    create_aws_ssm_parameter(aws, planned, config, overwrite=True)


def delete_aws_ssm_parameter(aws, state):
    aws.ssm.delete_parameter(Name=state["name"])
