# A broker in a VPC: private subnets, an endpoint for SSM, and a security group that allows outbound HTTPS only. The subnets need a route to
# GitHub, such as a NAT gateway, or a proxy. If a proxy or firewall inspects TLS, or GitHub Enterprise Server has a private
# certificate authority, put its certificates into a layer and name the file in `ca_certificates_path`.

provider "aws" {
  region = var.region
}

resource "aws_security_group" "broker" {
  #checkov:skip=CKV2_AWS_5:The module attaches the group to the function.
  name        = "github-token-broker"
  description = "Outbound HTTPS of github-token-broker"
  vpc_id      = var.vpc_id
}

# GitHub's addresses change, so the destination is not limited here. Use a proxy or a firewall to limit it by host name.
resource "aws_vpc_security_group_egress_rule" "broker" {
  for_each = toset([for port in [443, var.proxy_port] : tostring(port) if port != null])

  security_group_id = aws_security_group.broker.id
  description       = "HTTPS to GitHub and the AWS endpoints, or the proxy"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.value)
  to_port           = tonumber(each.value)
}

resource "aws_security_group" "endpoint" {
  #checkov:skip=CKV2_AWS_5:The endpoint has this group.
  name        = "github-token-broker-ssm"
  description = "The SSM endpoint of github-token-broker"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "endpoint" {
  security_group_id            = aws_security_group.endpoint.id
  description                  = "HTTPS from the function"
  referenced_security_group_id = aws_security_group.broker.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

# SSM calls KMS itself, and Lambda delivers the log, so no other endpoint is needed. With signing_key_arns, replace ssm by kms.
resource "aws_vpc_endpoint" "ssm" {
  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${var.region}.ssm"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoint.id]
  private_dns_enabled = true
}

module "broker" {
  source = "../.." # outside this repository: github.com/meigma/github-token-broker//terraform?ref=v1.1.0

  function_name    = "github-token-broker"
  repository_owner = var.repository_owner
  repository_name  = var.repository_name

  vpc_config = {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.broker.id]
  }

  https_proxy          = var.proxy_host == null ? null : "http://${var.proxy_host}:${var.proxy_port}"
  no_proxy             = var.proxy_host == null ? null : "ssm.${var.region}.amazonaws.com"
  layers               = var.layers
  ca_certificates_path = var.ca_certificates_path

  lambda_artifact = {
    release_version = "v1.1.0"
  }
}
