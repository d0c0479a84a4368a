# The oldest versions that the module works with. It uses only the `aws` provider, and no language feature newer than Terraform 1.6.
#
# AWS provider 5.51 introduced the function's `code_sha256`; `logging_config` is from 5.32. With an older one, `validate` fails with
# "unsupported attribute".
terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.51, < 7.0"
    }
  }
}
