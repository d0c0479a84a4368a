"""How the stand-in provider creates, reads, updates and deletes each resource type in AWS: functions named `<verb>_<type>`.

Input: the account's clients and planned values. Output: boto3 calls. An attribute that `read_...` omits is one that AWS (moto) does
not return. The real provider makes a few more calls to read what this module does not set; these functions make them too, so that
the recorded calls include them.
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
    aws.iam.list_role_policies(RoleName=state["name"])
    aws.iam.list_attached_role_policies(RoleName=state["name"])
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
    aws.iam.list_instance_profiles_for_role(RoleName=state["name"])
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


# Function, its URL, and the principals that are allowed to invoke it


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
        "Layers": planned["layers"] or [],
        "VpcConfig": _vpc(planned["vpc_config"]),
        "TracingConfig": {"Mode": planned["tracing_config"][0]["mode"] if planned["tracing_config"] else "PassThrough"},
    }


def _vpc(blocks):
    """AWS leaves the VPC if both lists are empty."""
    block = blocks[0] if blocks else {"subnet_ids": [], "security_group_ids": [], "ipv6_allowed_for_dual_stack": None}
    return {
        "SubnetIds": block["subnet_ids"],
        "SecurityGroupIds": block["security_group_ids"],
        "Ipv6AllowedForDualStack": bool(block["ipv6_allowed_for_dual_stack"]),
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
    client = getattr(aws, "lambda")
    function = client.get_function(FunctionName=state["function_name"])
    client.list_versions_by_function(FunctionName=state["function_name"])
    client.get_function_code_signing_config(FunctionName=state["function_name"])
    shown = function["Configuration"]
    vpc = shown.get("VpcConfig") or {}
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
        # Computed in the real provider: a difference is drift only if the block is configured.
        "logging_config": [_logging(shown["LoggingConfig"])] if state["logging_config"] else [],
        "tracing_config": [{"mode": shown["TracingConfig"]["Mode"]}] if state["tracing_config"] else [],
        "vpc_config": [_seen_vpc(vpc)] if vpc.get("SubnetIds") else [],
        "layers": [layer["Arn"] for layer in shown.get("Layers", [])],
        "code_sha256": shown["CodeSha256"],
        "source_code_size": shown["CodeSize"],
        "last_modified": shown["LastModified"],
        "signing_job_arn": "",
        "signing_profile_version_arn": "",
        "reserved_concurrent_executions": function.get("Concurrency", {}).get("ReservedConcurrentExecutions", -1),
        "tags": function.get("Tags", {}),
    }


def _seen_vpc(vpc):
    return {
        "subnet_ids": vpc["SubnetIds"],
        "security_group_ids": vpc["SecurityGroupIds"],
        "ipv6_allowed_for_dual_stack": vpc.get("Ipv6AllowedForDualStack", False),
        "vpc_id": vpc.get("VpcId", ""),
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
            FunctionUrlAuthType=planned["function_url_auth_type"],
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


def create_aws_lambda_function_url(aws, planned, _config):
    getattr(aws, "lambda").create_function_url_config(
        FunctionName=planned["function_name"], AuthType=planned["authorization_type"], InvokeMode=planned["invoke_mode"]
    )


def read_aws_lambda_function_url(aws, state):
    url = getattr(aws, "lambda").get_function_url_config(FunctionName=state["function_name"])
    return {
        "id": state["function_name"],
        "function_arn": url["FunctionArn"],
        "function_url": url["FunctionUrl"],
        "url_id": url["FunctionUrl"].split("/")[2].split(".")[0],
        "authorization_type": url["AuthType"],
    }


def delete_aws_lambda_function_url(aws, state):
    getattr(aws, "lambda").delete_function_url_config(FunctionName=state["function_name"])


# Alarm, metric filter, dashboard


def create_aws_cloudwatch_metric_alarm(aws, planned, _config):
    aws.cloudwatch.put_metric_alarm(
        **_given(
            AlarmName=planned["alarm_name"],
            AlarmDescription=planned["alarm_description"],
            AlarmActions=planned["alarm_actions"],
            Namespace=planned["namespace"],
            MetricName=planned["metric_name"],
            Dimensions=_dimensions(planned["dimensions"]),
            Statistic=planned["statistic"],
            Period=planned["period"],
            EvaluationPeriods=planned["evaluation_periods"],
            Threshold=planned["threshold"],
            ComparisonOperator=planned["comparison_operator"],
            TreatMissingData=planned["treat_missing_data"],
            Metrics=[_query(query) for query in planned["metric_query"]],
            Tags=_pairs(planned["tags"]),
        )
    )


def _dimensions(dimensions):
    return [{"Name": name, "Value": value} for name, value in (dimensions or {}).items()]


def _query(query):
    if not query["metric"]:
        return _given(Id=query["id"], Expression=query["expression"], Label=query["label"], ReturnData=query["return_data"])
    (metric,) = query["metric"]
    shown = {"Namespace": metric["namespace"], "MetricName": metric["metric_name"]}
    shown["Dimensions"] = _dimensions(metric["dimensions"])
    stat = {"Metric": shown, "Period": metric["period"], "Stat": metric["stat"]}
    return {"Id": query["id"], "MetricStat": stat, "ReturnData": bool(query["return_data"])}


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
        "namespace": alarm.get("Namespace", ""),
        "metric_name": alarm.get("MetricName", ""),
        "dimensions": {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions", [])},
        "threshold": alarm["Threshold"],
        "tags": _unpaired(aws.cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]),
    }


def update_aws_cloudwatch_metric_alarm(aws, prior, planned, config):
    create_aws_cloudwatch_metric_alarm(aws, planned, config)
    if _gone(prior, planned):
        aws.cloudwatch.untag_resource(ResourceARN=prior["arn"], TagKeys=_gone(prior, planned))
    if planned["tags"]:
        aws.cloudwatch.tag_resource(ResourceARN=prior["arn"], Tags=_pairs(planned["tags"]))


def delete_aws_cloudwatch_metric_alarm(aws, state):
    aws.cloudwatch.delete_alarms(AlarmNames=[state["alarm_name"]])


def create_aws_cloudwatch_log_metric_filter(aws, planned, _config):
    (transformation,) = planned["metric_transformation"]
    aws.logs.put_metric_filter(
        logGroupName=planned["log_group_name"],
        filterName=planned["name"],
        filterPattern=planned["pattern"],
        metricTransformations=[
            {
                "metricName": transformation["name"],
                "metricNamespace": transformation["namespace"],
                "metricValue": transformation["value"],
            }
        ],
    )


def read_aws_cloudwatch_log_metric_filter(aws, state):
    found = aws.logs.describe_metric_filters(logGroupName=state["log_group_name"], filterNamePrefix=state["name"])
    if not found["metricFilters"]:
        return None
    return {"id": state["name"], "pattern": found["metricFilters"][0]["filterPattern"]}


def update_aws_cloudwatch_log_metric_filter(aws, prior, planned, config):
    delete_aws_cloudwatch_log_metric_filter(aws, prior)  # AWS replaces the filter; moto would keep the old one
    create_aws_cloudwatch_log_metric_filter(aws, planned, config)


def delete_aws_cloudwatch_log_metric_filter(aws, state):
    aws.logs.delete_metric_filter(logGroupName=state["log_group_name"], filterName=state["name"])


def create_aws_cloudwatch_dashboard(aws, planned, _config):
    aws.cloudwatch.put_dashboard(DashboardName=planned["dashboard_name"], DashboardBody=planned["dashboard_body"])


def read_aws_cloudwatch_dashboard(aws, state):
    shown = aws.cloudwatch.get_dashboard(DashboardName=state["dashboard_name"])
    return {"id": shown["DashboardName"], "dashboard_arn": shown["DashboardArn"], "dashboard_body": shown["DashboardBody"]}


def update_aws_cloudwatch_dashboard(aws, _prior, planned, config):
    create_aws_cloudwatch_dashboard(aws, planned, config)


def delete_aws_cloudwatch_dashboard(aws, state):
    aws.cloudwatch.delete_dashboards(DashboardNames=[state["dashboard_name"]])


# What only the examples create: a KMS key without key material, GitHub's OIDC provider, a network. None is updated.


def create_aws_kms_external_key(aws, planned, _config):
    key = aws.kms.create_key(
        **_given(
            Origin="EXTERNAL",
            Description=planned["description"],
            KeySpec=planned["key_spec"],
            KeyUsage=planned["key_usage"],
            Policy=planned["policy"] if isinstance(planned["policy"], str) else None,
            Tags=[{"TagKey": key, "TagValue": value} for key, value in (planned["tags"] or {}).items()],
        )
    )
    planned["id"] = key["KeyMetadata"]["KeyId"]


def read_aws_kms_external_key(aws, state):
    key = aws.kms.describe_key(KeyId=state["id"])["KeyMetadata"]
    if key["KeyState"] == "PendingDeletion":
        return None
    tags = aws.kms.list_resource_tags(KeyId=state["id"])["Tags"]
    return {
        "id": key["KeyId"],
        "arn": key["Arn"],
        "description": key["Description"],
        "enabled": key["Enabled"],
        "key_state": key["KeyState"],
        "key_usage": key["KeyUsage"],
        "key_spec": key.get("KeySpec", key["CustomerMasterKeySpec"]),
        "expiration_model": "",
        "valid_to": "",
        "multi_region": key.get("MultiRegion", False),
        "policy": aws.kms.get_key_policy(KeyId=state["id"], PolicyName="default")["Policy"],
        "tags": {tag["TagKey"]: tag["TagValue"] for tag in tags},
    }


def delete_aws_kms_external_key(aws, state):
    aws.kms.schedule_key_deletion(KeyId=state["id"], PendingWindowInDays=int(state["deletion_window_in_days"]))


def create_aws_iam_openid_connect_provider(aws, planned, _config):
    made = aws.iam.create_open_id_connect_provider(
        Url=planned["url"], ClientIDList=planned["client_id_list"], ThumbprintList=["0" * 40]
    )
    planned["id"] = made["OpenIDConnectProviderArn"]


def read_aws_iam_openid_connect_provider(aws, state):
    shown = aws.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=state["id"])
    return {
        "id": state["id"],
        "arn": state["id"],
        "client_id_list": shown["ClientIDList"],
        "thumbprint_list": shown["ThumbprintList"],
        "tags": _unpaired(shown.get("Tags", [])),
    }


def delete_aws_iam_openid_connect_provider(aws, state):
    aws.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=state["id"])


def _ec2_tags(kind, tags):
    return [{"ResourceType": kind, "Tags": _pairs(tags)}] if tags else []


def create_aws_security_group(aws, planned, _config):
    group = aws.ec2.create_security_group(
        GroupName=planned["name"],
        Description=planned["description"],
        VpcId=planned["vpc_id"],
        TagSpecifications=_ec2_tags("security-group", planned["tags"]),
    )
    planned["id"] = group["GroupId"]
    # Like the real provider: the group starts without AWS's default rule that allows everything outbound.
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    aws.ec2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=everything)


def read_aws_security_group(aws, state):
    group = aws.ec2.describe_security_groups(GroupIds=[state["id"]])["SecurityGroups"][0]
    return {
        "id": group["GroupId"],
        "arn": f"arn:aws:ec2:{aws.region}:{group['OwnerId']}:security-group/{group['GroupId']}",
        "owner_id": group["OwnerId"],
        "name": group["GroupName"],
        "name_prefix": "",
        "description": group["Description"],
        "vpc_id": group["VpcId"],
        "tags": _unpaired(group.get("Tags", [])),
    }


def delete_aws_security_group(aws, state):
    aws.ec2.delete_security_group(GroupId=state["id"])


def _rule(planned):
    rule = {"IpProtocol": planned["ip_protocol"], "FromPort": int(planned["from_port"]), "ToPort": int(planned["to_port"])}
    if planned["cidr_ipv4"]:
        rule["IpRanges"] = [{"CidrIp": planned["cidr_ipv4"], "Description": planned["description"] or ""}]
    else:
        group = {"GroupId": planned["referenced_security_group_id"], "Description": planned["description"] or ""}
        rule["UserIdGroupPairs"] = [group]
    return [rule]


def _create_rule(aws, planned, authorize):
    made = authorize(GroupId=planned["security_group_id"], IpPermissions=_rule(planned))
    planned["id"] = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]


def _read_rule(aws, state):
    rules = aws.ec2.describe_security_group_rules(SecurityGroupRuleIds=[state["id"]])["SecurityGroupRules"]
    if not rules:
        return None
    arn = f"arn:aws:ec2:{aws.region}:{rules[0].get('GroupOwnerId', '123456789012')}:security-group-rule/{state['id']}"
    return {"id": state["id"], "security_group_rule_id": state["id"], "arn": arn, "tags_all": {}}


def create_aws_vpc_security_group_egress_rule(aws, planned, _config):
    _create_rule(aws, planned, aws.ec2.authorize_security_group_egress)


def create_aws_vpc_security_group_ingress_rule(aws, planned, _config):
    _create_rule(aws, planned, aws.ec2.authorize_security_group_ingress)


read_aws_vpc_security_group_egress_rule = read_aws_vpc_security_group_ingress_rule = _read_rule


def delete_aws_vpc_security_group_egress_rule(aws, state):
    aws.ec2.revoke_security_group_egress(GroupId=state["security_group_id"], IpPermissions=_rule(state))


def delete_aws_vpc_security_group_ingress_rule(aws, state):
    aws.ec2.revoke_security_group_ingress(GroupId=state["security_group_id"], IpPermissions=_rule(state))


def create_aws_vpc_endpoint(aws, planned, _config):
    made = aws.ec2.create_vpc_endpoint(
        VpcId=planned["vpc_id"],
        ServiceName=planned["service_name"],
        VpcEndpointType=planned["vpc_endpoint_type"],
        SubnetIds=planned["subnet_ids"],
        SecurityGroupIds=planned["security_group_ids"],
        PrivateDnsEnabled=planned["private_dns_enabled"],
        PolicyDocument=planned["policy"] if isinstance(planned["policy"], str) else "",
        TagSpecifications=_ec2_tags("vpc-endpoint", planned["tags"]),
    )
    planned["id"] = made["VpcEndpoint"]["VpcEndpointId"]


def read_aws_vpc_endpoint(aws, state):
    endpoints = [e for e in aws.ec2.describe_vpc_endpoints(VpcEndpointIds=[state["id"]])["VpcEndpoints"] if e["State"] != "deleted"]
    if not endpoints:
        return None
    return {
        "id": state["id"],
        "arn": f"arn:aws:ec2:{aws.region}:{endpoints[0].get('OwnerId', '123456789012')}:vpc-endpoint/{state['id']}",
        "owner_id": endpoints[0].get("OwnerId", "123456789012"),
        "state": endpoints[0]["State"],
        "service_region": aws.region,
        "ip_address_type": "ipv4",
        "route_table_ids": [],
        "cidr_blocks": [],
        "prefix_list_id": "",
        "requester_managed": False,
        "network_interface_ids": endpoints[0].get("NetworkInterfaceIds", []),
        **({} if isinstance(state["policy"], str) else {"policy": ""}),
    }


def delete_aws_vpc_endpoint(aws, state):
    aws.ec2.delete_vpc_endpoints(VpcEndpointIds=[state["id"]])


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
