"""What the schemas do not say of each resource type, written down by hand from the provider's documentation.

`computed`: optional attributes that the provider fills in. `defaults`: what an attribute is when it is not given.
`force_new`: a change means a replacement. `recomputed`: a change of the first makes the second unknown until apply.
`stale`: the provider plans the old value and lets the apply change it, as its SDK tolerates.
`sensitive` and `write_only`: as Terraform means them. Data only.
"""

_NAMED = ("id", "arn", "region", "tags_all")

# What the provider looks at to decide whether a function's code must be uploaded.
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
        "force_new": ("statement_id", "action", "function_name", "principal", "source_arn", "source_account"),
    },
    "aws_cloudwatch_metric_alarm": {
        "computed": (*_NAMED, "evaluate_low_sample_count_percentiles"),
        "defaults": {"actions_enabled": True, "treat_missing_data": "missing"},
        "force_new": ("alarm_name",),
    },
    "aws_ssm_parameter": {
        "computed": (*_NAMED, "value", "insecure_value", "key_id", "data_type", "tier"),
        "sensitive": ("value", "value_wo"),
        "write_only": ("value_wo",),
        "force_new": ("name",),
        "recomputed": ((("value", "value_wo_version", "type", "key_id", "description"), ("version",)),),
    },
}
