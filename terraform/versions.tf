# What the module runs on. It uses no provider but `aws`, and no language feature newer than 1.6.
#
# Two arguments came into the 5.x series after 5.0: `logging_config` (5.32) and `code_sha256` (5.51). An older 5.x stops
# at `validate` with "unsupported block" or "unsupported attribute"; `init -upgrade` within the same range helps.
terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }
  }
}
