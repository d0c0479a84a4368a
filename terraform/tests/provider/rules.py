"""What the schemas do not say about each resource type, written by hand from the provider's documentation.

`computed`: optional attributes that the provider fills in. `defaults`: the value of an attribute that is not set. `force_new`: a
change means a replacement. `recomputed`: a change of the first attributes makes the second ones unknown until apply. `stale`: the
provider plans the old value and lets the apply change it, which its SDK tolerates. `sensitive` and `write_only`: as in Terraform.
Data only.
"""

_NAMED = ("id", "arn", "region", "tags_all")

# A change of one of these makes the provider upload the function's code.
CODE = ("filename", "s3_bucket", "s3_key", "s3_object_version", "source_code_hash", "architectures")

RULES = {
    "aws_iam_role": {
        "computed": (*_NAMED, "managed_policy_arns", "name_prefix"),
        "defaults": {"path": "/", "max_session_duration": 3600, "force_detach_policies": False},
        "force_new": ("name", "path"),
    },
    "aws_iam_role_policy": {"computed": ("id", "name_prefix"), "force_new": ("name", "role")},
    "aws_cloudwatch_log_group": {
        "computed": (*_NAMED, "name_prefix", "log_group_class", "deletion_protection_enabled"),
        "defaults": {"retention_in_days": 0, "skip_destroy": False},
        "force_new": ("name",),
    },
    "aws_lambda_function": {
        "computed": _NAMED,
        "defaults": {
            "package_type": "Zip",
            "memory_size": 128,
            "timeout": 3,
            "publish": False,
            "skip_destroy": False,
            "reserved_concurrent_executions": -1,
        },
        "force_new": ("function_name", "package_type"),
        "recomputed": ((CODE, ("last_modified",)),),
        "stale": ("last_modified", "code_sha256", "source_code_size"),
    },
    "aws_lambda_permission": {
        "computed": ("id", "region", "statement_id_prefix"),
        "force_new": (
            "statement_id", "action", "function_name", "function_url_auth_type", "principal", "source_arn", "source_account",
        ),
    },
    "aws_cloudwatch_metric_alarm": {
        "computed": (*_NAMED, "evaluate_low_sample_count_percentiles"),
        "defaults": {"actions_enabled": True, "treat_missing_data": "missing"},
        "force_new": ("alarm_name",),
    },
    "aws_cloudwatch_dashboard": {"computed": ("id", "region"), "force_new": ("dashboard_name",)},
    "aws_cloudwatch_log_metric_filter": {
        "computed": ("id", "region"),
        "defaults": {"apply_on_transformed_logs": False},
        "force_new": ("name", "log_group_name"),
    },
    "aws_iam_openid_connect_provider": {"computed": (*_NAMED, "thumbprint_list"), "force_new": ("url",)},
    "aws_kms_external_key": {
        "computed": (*_NAMED, "enabled", "multi_region", "policy", "valid_to"),
        "defaults": {"deletion_window_in_days": 30, "bypass_policy_lockout_safety_check": False},
        "force_new": ("key_spec", "key_usage", "key_material_base64"),
    },
    "aws_lambda_function_url": {
        "computed": ("id", "region"),
        "defaults": {"invoke_mode": "BUFFERED"},
        "force_new": ("function_name", "qualifier"),
    },
    "aws_security_group": {
        "computed": (*_NAMED, "name_prefix", "vpc_id"),
        "defaults": {"description": "Managed by Terraform", "revoke_rules_on_delete": False},
        "force_new": ("name", "description", "vpc_id"),
    },
    "aws_vpc_endpoint": {
        "computed": (*_NAMED, "policy", "ip_address_type", "route_table_ids", "service_region"),
        "force_new": ("service_name", "vpc_id", "vpc_endpoint_type"),
    },
    "aws_vpc_security_group_egress_rule": {"computed": ("id", "region"), "force_new": ("security_group_id",)},
    "aws_vpc_security_group_ingress_rule": {"computed": ("id", "region"), "force_new": ("security_group_id",)},
    "aws_ssm_parameter": {
        "computed": (*_NAMED, "value", "insecure_value", "key_id", "data_type", "tier"),
        "sensitive": ("value", "value_wo"),
        "write_only": ("value_wo",),
        "force_new": ("name",),
        "recomputed": ((("value", "value_wo_version", "type", "key_id", "description"), ("version",)),),
    },
}
